"""Upstreams that are away, slow, overloaded or talk nonsense."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from gateway_support.server import CHAT, QUESTION, dead_url, gateway, problem, upstreams
from gateway_support.upstream import StandIn, refusal

from aiapi_service.gateway.upstreams import metering


async def test_an_upstream_that_is_away_is_passed_over_and_then_left_alone(
    upstream: StandIn,
) -> None:
    away = dead_url()
    async with gateway(upstreams=f"{away},{upstream.url}", upstream_break_after=2) as client:
        for _ in range(8):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 200
    assert len(upstream.requests) == 8


async def test_the_fall_back_is_asked_only_when_the_first_tier_cannot(
    upstream: StandIn, second: StandIn
) -> None:
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


async def test_weights_are_kept(upstream: StandIn, second: StandIn) -> None:
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


async def test_a_long_retry_after_is_the_callers_to_wait_for(upstream: StandIn) -> None:
    upstream.always = refusal(429, "slow down", retry_after="20")
    async with gateway(upstreams=upstream.url) as client:
        async with client.post(CHAT, json=QUESTION) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "20")
            assert (await problem(answer))["detail"] == "slow down"
        async with client.post(CHAT, json=QUESTION) as answer:
            assert (await problem(answer))["type"] == "urn:aiapi:problem:upstream-unavailable"
            assert 1 <= int(answer.headers["Retry-After"]) <= 20
    assert len(upstream.requests) == 1, "it has said when to come back: it is left alone until then"


async def test_a_storm_of_refusals_is_not_multiplied(upstream: StandIn) -> None:
    upstream.always = refusal(429)
    settings = {"upstream_retries": 5, "upstream_break_after": 1000}
    async with gateway(upstreams=upstream.url, **settings) as client:

        async def ask() -> int:
            async with client.post(CHAT, json=QUESTION) as answer:
                return answer.status

        statuses = await asyncio.gather(*(ask() for _ in range(60)))
    assert set(statuses) == {429}
    assert len(upstream.requests) <= 60 * 1.1 + 10, "the budget is a tenth, and a reserve"


async def test_a_failing_upstream_is_closed_off_and_tried_again(upstream: StandIn) -> None:
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


async def test_only_what_may_be_repeated_is_sent_again_after_a_failure(upstream: StandIn) -> None:
    upstream.answers = [refusal(500), refusal(500)]
    async with gateway(upstreams=upstream.url) as client:
        async with client.post(CHAT, json=QUESTION) as answer:
            assert answer.status == 502
        assert len(upstream.requests) == 1
        asked = {"model": "m", "input": "text"}
        async with client.post("/v1/embeddings", json=asked) as answer:
            assert answer.status == 200
    assert len(upstream.requests) == 3


async def test_nonsense_is_a_bad_gateway(upstream: StandIn) -> None:
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


async def test_a_list_of_models_that_is_none_hides_no_other(
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
    "said", [b'{"error": "\\ud800 bad"}', b'{"error": NaN}', _DEEP, b"[" * 9999]
)
async def test_an_error_that_cannot_be_written_again_is_told_all_the_same(
    upstream: StandIn, said: bytes, status: int
) -> None:
    upstream.always = web.Response(status=status, body=said, content_type="application/json")
    async with gateway(upstreams=upstream.url, upstream_break_after=1000) as client:
        for path, asked in ((CHAT, QUESTION), ("/v1/embeddings", {"model": "m", "input": "x"})):
            async with client.post(path, json=asked) as answer:
                assert (await problem(answer))["status"] == {400: 400, 500: 502}[status]


@pytest.mark.parametrize("said", [b'{"x": "\\ud800"}', b'{"x": 1e999}', b'{"x": NaN}', _DEEP])
async def test_one_item_of_a_fan_out_does_not_spoil_the_others(
    upstream: StandIn, said: bytes
) -> None:
    upstream.answers = [web.Response(body=said, content_type="application/json")]
    async with gateway(upstreams=upstream.url, upstream_break_after=1000) as client:
        asked = {"model": "m", "prompts": ["x", "y", "z"]}
        async with client.post("/v1/fanout", json=asked) as answer:
            assert answer.status == 200
            got = await answer.json()
    assert got["succeeded"] + got["failed"] == 3
    assert got["succeeded"] >= 2


async def test_half_a_surrogate_pair_is_the_callers_to_read(upstream: StandIn) -> None:
    said = b'{"choices": [{"message": {"content": "\\ud83d"}}]}'
    upstream.always = web.Response(body=said, content_type="application/json")
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        assert (answer.status, await answer.read()) == (200, said)


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        (b"", False),
        (b'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": null}]}\n\n', False),
        (b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n', True),
        (b'data: {"error": {"message": "no"}}\n\n', True),
        (b"data: [DONE]\n\n", True),
    ],
)
async def test_a_stream_that_stops_before_its_end_is_told_however_it_was_framed(
    upstream: StandIn, said: bytes, whole: bool
) -> None:
    upstream.always = web.Response(body=said, content_type="text/event-stream")
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post(CHAT, json={**QUESTION, "stream": True}) as answer,
    ):
        got = await answer.read()
    assert got.startswith(said)
    told = got.removeprefix(said)
    assert (told == b"") == whole
    if not whole:
        assert (
            json.loads(told.removeprefix(b"data: "))["type"] == "urn:aiapi:problem:upstream-broken"
        )


async def test_a_slow_body_is_bounded_as_a_whole(upstream: StandIn) -> None:
    upstream.pieces = ["x"] * 10_000
    async with (
        gateway(upstreams=upstream.url, upstream_total_timeout=0.5) as client,
        client.post(CHAT, json={**QUESTION, "stream": True}) as answer,
    ):
        text = await answer.text()
    assert json.loads(text.strip().splitlines()[-1].removeprefix("data: "))["status"] == 504
    await asyncio.wait_for(upstream.cancelled.wait(), 15)


async def test_hedging_asks_a_second_upstream_and_cancels_the_first(
    upstream: StandIn, second: StandIn
) -> None:
    upstream.pause = 60
    config = upstreams(upstream.url, second.url)
    async with gateway(upstreams=config, upstream_hedge_after=0.05) as client:
        for _ in range(2):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 200
    await asyncio.wait_for(upstream.cancelled.wait(), 15)


async def test_a_caller_who_leaves_while_a_refusal_is_read_closes_nothing_off(
    upstream: StandIn,
) -> None:
    upstream.always = refusal(500)
    settings = {"upstream_break_after": 2, "upstream_break_seconds": 0.3}
    async with gateway(upstreams=upstream.url, **settings) as client:
        for _ in range(2):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 502
        await asyncio.sleep(0.4)  # The pause of the breaker: time is what is tested.
        upstream.stall = True
        with pytest.raises(TimeoutError):
            await client.post(CHAT, json=QUESTION, timeout=aiohttp.ClientTimeout(total=0.5))
        assert len(upstream.requests) == 3, "the trial has reached the upstream"
        upstream.stall, upstream.always = False, None
        async with asyncio.timeout(10):
            while True:
                async with client.post(CHAT, json=QUESTION) as answer:
                    if answer.status == 200:
                        return
                await asyncio.sleep(0.05)


async def test_a_list_of_models_says_nothing_of_an_upstream_that_fails_its_chats(
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


async def test_an_embedding_that_breaks_off_is_asked_for_again(upstream: StandIn) -> None:
    upstream.answers = [web.Response(body=b'{"data": [', content_type="application/json")]
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post("/v1/embeddings", json={"model": "m", "input": "text"}) as answer,
    ):
        assert answer.status == 200
    assert len(upstream.requests) == 2


async def test_one_upstream_alone_is_not_asked_twice_for_being_late(upstream: StandIn) -> None:
    upstream.pause = 0.4
    async with (
        gateway(upstreams=upstream.url, upstream_hedge_after=0.05) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        assert answer.status == 200
    assert len(upstream.requests) == 1


async def test_calls_are_counted_by_how_they_ended(upstream: StandIn) -> None:
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
    assert metering.STATE.labels("counted").values[0] == 2, "closed off"
