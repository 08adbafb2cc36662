"""Upstreams that are down, slow, overloaded or return invalid data."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from gateway_support.server import CHAT, QUESTION, dead_url, gateway, problem, upstreams
from gateway_support.upstream import StandIn, refusal
from runtime_support.pod import until

from aiapi_service.gateway.upstreams import metering


async def test_an_unreachable_upstream_is_skipped(
    upstream: StandIn,
) -> None:
    unreachable = dead_url()
    async with gateway(upstreams=f"{unreachable},{upstream.url}", upstream_break_after=2) as client:
        for _ in range(8):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 200
    assert len(upstream.requests) == 8


async def test_the_second_tier_is_a_fallback(upstream: StandIn, second: StandIn) -> None:
    config = json.dumps([{"url": upstream.url}, {"url": second.url, "tier": 1}])
    async with gateway(upstreams=config) as client:
        for _ in range(3):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 200
        assert (len(upstream.requests), len(second.requests)) == (3, 0)
        upstream.always = refusal(503)
        async with client.post(CHAT, json=QUESTION) as answer:
            assert answer.status == 200
    assert len(second.requests) == 1


async def test_calls_follow_the_weights(upstream: StandIn, second: StandIn) -> None:
    config = json.dumps([{"url": upstream.url, "weight": 3}, {"url": second.url}])
    async with gateway(upstreams=config) as client:
        for _ in range(8):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 200
    assert (len(upstream.requests), len(second.requests)) == (6, 2)


async def test_a_short_retry_after_is_waited_for(upstream: StandIn) -> None:
    upstream.answers = [refusal(429, retry_after="0.2")]
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        assert answer.status == 200
    assert len(upstream.requests) == 2


async def test_a_long_retry_after_is_returned_to_the_caller(upstream: StandIn) -> None:
    upstream.always = refusal(429, "slow down", retry_after="20")
    async with gateway(upstreams=upstream.url) as client:
        async with client.post(CHAT, json=QUESTION) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "20")
            assert (await problem(answer))["detail"] == "slow down"
        async with client.post(CHAT, json=QUESTION) as answer:
            details = await problem(answer)
            assert (answer.status, details["type"]) == (
                429,
                "urn:aiapi:problem:upstream-rate-limited",
            )
            assert "limits the rate of requests for the model 'm'" in details["detail"]
            assert 1 <= int(answer.headers["Retry-After"]) <= 20
            assert 1 <= int(answer.headers["retry-after-ms"]) <= 20_000
        assert len(upstream.requests) == 1, "no calls until Retry-After has passed"


@pytest.mark.parametrize("status", [429, 503])
async def test_a_model_that_rests_does_not_close_off_the_others(
    upstream: StandIn, status: int
) -> None:
    async with gateway(upstreams=upstream.url, upstream_retries=0) as client:
        upstream.answers = [refusal(status, retry_after="20")]
        async with client.post(CHAT, json=QUESTION) as answer:
            assert answer.status == status
        async with client.post(CHAT, json=QUESTION) as answer:
            assert answer.status == status, "the rest has the status that began it"
        async with client.post(CHAT, json={**QUESTION, "model": "other"}) as answer:
            assert answer.status == 200
        async with client.get("/v1/models") as answer:
            assert answer.status == 200
    assert len(upstream.bodies) == 2


async def test_another_upstream_is_used_while_a_model_rests(
    upstream: StandIn, second: StandIn
) -> None:
    upstream.always = refusal(429, retry_after="20")
    async with gateway(upstreams=upstreams(upstream.url, second.url)) as client:
        for _ in range(4):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 200
    assert (len(upstream.requests), len(second.requests)) == (1, 4)


async def test_milliseconds_of_an_upstream_are_waited_for(upstream: StandIn) -> None:
    upstream.answers = [refusal(429, retry_after="20", milliseconds="50")]
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        assert answer.status == 200


async def test_retries_of_many_failures_are_bounded(upstream: StandIn) -> None:
    upstream.always = refusal(429)
    settings = {"upstream_retries": 5, "upstream_break_after": 1000}
    async with gateway(upstreams=upstream.url, **settings) as client:

        async def call() -> int:
            async with client.post(CHAT, json=QUESTION) as answer:
                return answer.status

        statuses = await asyncio.gather(*(call() for _ in range(60)))
    assert set(statuses) == {429}
    assert len(upstream.requests) <= 60 * 1.1 + 10, "the budget is a tenth plus a reserve"


async def test_a_failing_upstream_opens_the_breaker_until_a_trial_succeeds(
    upstream: StandIn,
) -> None:
    upstream.always = refusal(500)
    settings = {"upstream_break_after": 3, "upstream_break_seconds": 0.5}
    async with gateway(upstreams=upstream.url, **settings) as client:
        for _ in range(3):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 502
        async with client.post(CHAT, json=QUESTION) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert len(upstream.requests) == 3
        upstream.always = None
        async with asyncio.timeout(20):
            while True:
                async with client.post(CHAT, json=QUESTION) as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.05)


async def test_one_warning_is_logged_when_an_upstream_fails_and_when_it_answers_again(
    upstream: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.always = refusal(500, "the text of a prompt")
    named = upstreams(upstream.url, name="flaky")
    async with gateway(
        upstreams=named, upstream_break_after=2, upstream_break_seconds=0.2
    ) as client:

        async def status() -> int:
            async with client.post(CHAT, json=QUESTION) as answer:
                return answer.status

        assert [await status() for _ in range(4)] == [502, 502, 503, 503]
        await asyncio.sleep(0.3)  # Until the breaker is half-open.
        assert await status() == 502, "the trial call fails"
        upstream.always = None

        async def answers() -> bool:
            return await status() == 200

        await until(answers)
    warnings = [one.message for one in caplog.records if "flaky" in one.message]
    assert warnings == [
        "flaky fails most calls (upstream-error): no calls for 0.2 s, then one a second",
        "flaky answers again: calls are resumed",
    ]


async def test_only_repeatable_calls_are_retried_after_a_failure(upstream: StandIn) -> None:
    upstream.answers = [refusal(500), refusal(500)]
    async with gateway(upstreams=upstream.url) as client:
        async with client.post(CHAT, json=QUESTION) as answer:
            assert answer.status == 502
        assert len(upstream.requests) == 1
        body = {"model": "m", "input": "text"}
        async with client.post("/v1/embeddings", json=body) as answer:
            assert answer.status == 200
    assert len(upstream.requests) == 3


async def test_invalid_responses_are_502(upstream: StandIn) -> None:
    settings = {"max_answer_bytes": 2000, "upstream_break_after": 1000}
    async with gateway(upstreams=upstream.url, **settings) as client:
        for nonsense in (
            web.Response(text="<html>hello</html>", content_type="text/html"),
            web.Response(body=b'{"id": "chatcmpl-1", "choi', content_type="application/json"),
            web.Response(body=b'{"id": nonsense}', content_type="application/json"),
            web.Response(body=b"\xff\xfe\x00", content_type="application/json"),
            web.Response(body=b'{"x": "' + b"x" * 3000 + b'"}', content_type="application/json"),
            web.Response(status=302),
            web.Response(status=500, text="Traceback: secrets", content_type="text/plain"),
        ):
            upstream.always = nonsense
            async with client.post(CHAT, json=QUESTION) as answer:
                details = await problem(answer)
                assert details["status"] == 502, details
                assert "secrets" not in str(details)


_DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000


async def test_an_invalid_model_list_does_not_hide_others(
    upstream: StandIn, second: StandIn
) -> None:
    upstream.models = [1e999]  # type: ignore[list-item]
    both = upstreams(upstream.url, second.url)
    async with gateway(upstreams=both) as client, client.get("/v1/models") as answer:
        assert [one["id"] for one in (await answer.json())["data"]] == ["stand-in"]
    async with gateway(upstreams=upstream.url) as client, client.get("/v1/models") as answer:
        assert (await problem(answer))["status"] == 502


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize(
    "sent", [b'{"error": "\\ud800 bad"}', b'{"error": NaN}', _DEEP, b"[" * 9999]
)
async def test_an_error_body_that_is_not_valid_json_is_a_problem(
    upstream: StandIn, sent: bytes, status: int
) -> None:
    upstream.always = web.Response(status=status, body=sent, content_type="application/json")
    async with gateway(upstreams=upstream.url, upstream_break_after=1000) as client:
        for path, body in ((CHAT, QUESTION), ("/v1/embeddings", {"model": "m", "input": "x"})):
            async with client.post(path, json=body) as answer:
                assert (await problem(answer))["status"] == {400: 400, 500: 502}[status]


@pytest.mark.parametrize("sent", [b'{"x": "\\ud800"}', b'{"x": 1e999}', b'{"x": NaN}', _DEEP])
async def test_one_invalid_item_does_not_fail_the_fan_out(upstream: StandIn, sent: bytes) -> None:
    upstream.answers = [web.Response(body=sent, content_type="application/json")]
    async with gateway(upstreams=upstream.url, upstream_break_after=1000) as client:
        body = {"model": "m", "prompts": ["x", "y", "z"]}
        async with client.post("/v1/fanout", json=body) as answer:
            assert answer.status == 200
            got = await answer.json()
    assert got["succeeded"] + got["failed"] == 3
    assert got["succeeded"] >= 2


async def test_a_lone_surrogate_passes_through(upstream: StandIn) -> None:
    sent = b'{"choices": [{"message": {"content": "\\ud83d"}}]}'
    upstream.always = web.Response(body=sent, content_type="application/json")
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        assert (answer.status, await answer.read()) == (200, sent)


@pytest.mark.parametrize(
    ("sent", "is_complete"),
    [
        (b"", False),
        (b'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": null}]}\n\n', False),
        (b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n', True),
        (b'data: {"error": {"message": "no"}}\n\n', True),
        (b"data: [DONE]\n\n", True),
        (b"data:[DONE]\n\n", True),
        (b"data: [DONE]\n\n: bye\n\n", True),
        (b"event: message\r\ndata: [DONE]\r\n\r\n", True),
        (b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n: ping\n\n', True),
    ],
)
async def test_an_incomplete_stream_ends_with_an_error_event(
    upstream: StandIn, sent: bytes, is_complete: bool
) -> None:
    upstream.always = web.Response(body=sent, content_type="text/event-stream")
    named = upstreams(upstream.url, name="streaming")
    async with (
        gateway(upstreams=named, upstream_break_after=1) as client,
        client.post(CHAT, json={**QUESTION, "stream": True}) as answer,
    ):
        got = await answer.read()
    opened = metering.STATE.labels("streaming").values[0] == 2
    assert opened != is_complete, "a complete stream does not count as a failure"
    assert got.startswith(sent)
    appended = got.removeprefix(sent)
    assert (appended == b"") == is_complete
    if not is_complete:
        assert (
            json.loads(appended.removeprefix(b"data: "))["type"]
            == "urn:aiapi:problem:upstream-broken"
        )


async def test_a_slow_body_hits_the_total_timeout(upstream: StandIn) -> None:
    upstream.pieces = ["x"] * 10_000
    async with (
        gateway(upstreams=upstream.url, upstream_total_timeout=0.5) as client,
        client.post(CHAT, json={**QUESTION, "stream": True}) as answer,
    ):
        text = await answer.text()
    assert json.loads(text.strip().splitlines()[-1].removeprefix("data: "))["status"] == 504
    await asyncio.wait_for(upstream.cancelled.wait(), 15)


async def test_hedging_calls_a_second_upstream_and_cancels_the_first(
    upstream: StandIn, second: StandIn
) -> None:
    upstream.pause = 60
    config = upstreams(upstream.url, second.url)
    async with gateway(upstreams=config, upstream_hedge_after=0.05) as client:
        for _ in range(2):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 200
    await asyncio.wait_for(upstream.cancelled.wait(), 15)


async def test_a_disconnect_during_an_error_response_does_not_block_the_breaker(
    upstream: StandIn,
) -> None:
    upstream.always = refusal(500)
    settings = {"upstream_break_after": 2, "upstream_break_seconds": 0.3}
    async with gateway(upstreams=upstream.url, **settings) as client:
        for _ in range(2):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 502
        await asyncio.sleep(0.4)  # Until the breaker is half-open.
        upstream.stall = True
        with pytest.raises(TimeoutError):
            await client.post(CHAT, json=QUESTION, timeout=aiohttp.ClientTimeout(total=0.5))
        assert len(upstream.requests) == 3, "the trial call has reached the upstream"
        upstream.stall, upstream.always = False, None
        async with asyncio.timeout(10):
            while True:
                async with client.post(CHAT, json=QUESTION) as answer:
                    if answer.status == 200:
                        return
                await asyncio.sleep(0.05)


async def test_listing_models_does_not_close_the_breaker(
    upstream: StandIn,
) -> None:
    upstream.always = refusal(500)
    async with gateway(upstreams=upstream.url, upstream_break_after=2) as client:
        for _ in range(2):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 502
        async with client.get("/v1/models") as answer:
            assert (await problem(answer))["type"] == "urn:aiapi:problem:upstream-unavailable"
        async with client.post(CHAT, json=QUESTION) as answer:
            assert answer.status == 503
    assert len(upstream.requests) == 2


async def test_a_broken_embeddings_response_is_retried(upstream: StandIn) -> None:
    upstream.answers = [web.Response(body=b'{"data": [', content_type="application/json")]
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post("/v1/embeddings", json={"model": "m", "input": "text"}) as answer,
    ):
        assert answer.status == 200
    assert len(upstream.requests) == 2


async def test_a_single_upstream_is_not_hedged(upstream: StandIn) -> None:
    upstream.pause = 0.4
    async with (
        gateway(upstreams=upstream.url, upstream_hedge_after=0.05) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        assert answer.status == 200
    assert len(upstream.requests) == 1


async def test_calls_are_counted_by_outcome(upstream: StandIn) -> None:
    named = upstreams(upstream.url, name="counted")

    def counted(outcome: str) -> float:
        return metering.CALLS.labels("counted", outcome).values[0]

    outcomes = ("ok", "upstream-refused", "upstream-broken")
    before = [counted(one) for one in outcomes]
    async with gateway(upstreams=named, upstream_break_after=3) as client:
        async with client.post(CHAT, json=QUESTION) as answer:
            assert answer.status == 200
        upstream.answers = [refusal(400)]
        async with client.post(CHAT, json=QUESTION) as answer:
            assert answer.status == 400
        upstream.half_event = True
        for _ in range(3):
            async with client.post(CHAT, json={**QUESTION, "stream": True}) as answer:
                await answer.read()
    after = [counted(one) for one in outcomes]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 3]
    assert metering.STATE.labels("counted").values[0] == 2, "open"
