"""The gateway under Uvicorn, with fake upstreams on loopback."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from gateway_support.server import CHAT, QUESTION, dead_url, gateway, problem, upstreams
from gateway_support.upstream import StandIn, refusal
from runtime_support.pod import until

from aiapi_service.gateway.upstreams import metering


async def test_a_completion_passes_through_with_the_upstreams_key(upstream: StandIn) -> None:
    async with gateway(upstreams=upstream.url, upstream_api_key="s3cret") as client:
        mine = {"Authorization": "Bearer mine"}
        body = {**QUESTION, "guided_regex": "a+", "top_k": 3}
        async with client.post(CHAT, json=body, headers=mine) as answer:
            assert answer.status == 200
            assert (await answer.json())["choices"][0]["message"]["content"] == "hello"
    assert upstream.bodies == [body], "unknown fields pass through"
    assert upstream.requests[0].headers["Authorization"] == "Bearer s3cret"


async def test_a_callers_key_is_never_sent_to_the_upstream(upstream: StandIn) -> None:
    async with gateway(upstreams=upstream.url) as client:
        mine = {"Authorization": "Bearer mine", "Cookie": "a=b"}
        async with client.post(CHAT, json=QUESTION, headers=mine) as answer:
            assert answer.status == 200
    assert not {"Authorization", "Cookie"} & set(upstream.requests[0].headers)


async def test_a_model_is_renamed_for_its_upstream(upstream: StandIn, second: StandIn) -> None:
    config = json.dumps(
        [
            {"url": upstream.url, "models": {"fast": "llama-3-8b"}},
            {"url": f"{second.url}/v1", "models": ["slow"]},
        ]
    )
    async with gateway(upstreams=config) as client:
        for model in ("fast", "slow"):
            async with client.post(CHAT, json={**QUESTION, "model": model}) as answer:
                assert answer.status == 200
        async with client.post(CHAT, json={**QUESTION, "model": "none"}) as answer:
            details = await problem(answer)
            assert (answer.status, details["errors"][0]["field"]) == (404, "model")
            assert "Known models: fast, slow" in details["detail"]
    assert [body["model"] for body in upstream.bodies] == ["llama-3-8b"]
    assert [body["model"] for body in second.bodies] == ["slow"]


async def test_duplicate_keys_are_resolved_before_the_upstream(upstream: StandIn) -> None:
    async with gateway(upstreams=upstreams(upstream.url, models=["a", "b"])) as client:
        body = b'{"model": "a", "messages": [{"role": "user", "content": "x"}], "model": "b"}'
        async with client.post(CHAT, data=body, headers=JSON) as answer:
            assert answer.status == 200
    assert upstream.raw[0].count(b'"model"') == 1


async def test_disconnecting_from_a_stream_cancels_the_upstream_call(upstream: StandIn) -> None:
    upstream.pieces = ["x"] * 10_000
    async with gateway(upstreams=upstream.url) as client:
        answer = await client.post(CHAT, json={**QUESTION, "stream": True})
        await answer.content.readany()
        answer.close()
        await asyncio.wait_for(upstream.cancelled.wait(), 15)


async def test_disconnecting_before_the_first_byte_cancels_the_upstream_call(
    upstream: StandIn,
) -> None:
    upstream.pause = 60
    async with gateway(upstreams=upstream.url) as client:
        with suppress(TimeoutError):
            await client.post(CHAT, json=QUESTION, timeout=aiohttp.ClientTimeout(total=0.3))
        await asyncio.wait_for(upstream.cancelled.wait(), 15)


async def test_usage_is_requested_and_hidden_from_callers_that_did_not(upstream: StandIn) -> None:
    async with gateway(upstreams=upstream.url) as client:
        async with client.post(CHAT, json={**QUESTION, "stream": True}) as answer:
            assert answer.content_type == "text/event-stream"
            assert "usage" not in (text := await answer.text())
            assert text.endswith("data: [DONE]\n\n")
        body = {**QUESTION, "stream": True, "stream_options": {"include_usage": True}}
        async with client.post(CHAT, json=body) as answer:
            assert '"usage": {"prompt_tokens": 7' in await answer.text()
    assert [body["stream_options"]["include_usage"] for body in upstream.bodies] == [True, True]


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {}, {"x": 1}])
async def test_tokens_are_counted_even_if_the_caller_disables_usage(
    upstream: StandIn, options: Any
) -> None:
    counted = metering.TOKENS.labels(upstream.url.removeprefix("http://"), "m", "out")
    async with gateway(upstreams=upstream.url) as client:
        body = {**QUESTION, "stream": True, "stream_options": options}
        async with client.post(CHAT, json=body) as answer:
            assert "usage" not in (await answer.text())
    assert upstream.bodies[0]["stream_options"] == {**(options or {}), "include_usage": True}
    assert upstream.raw[0].count(b"stream_options") == 1
    assert counted.values[0] == 3


async def test_a_broken_stream_ends_with_an_error_event(upstream: StandIn) -> None:
    upstream.break_after = 0
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post(CHAT, json={**QUESTION, "stream": True}) as answer,
    ):
        text = (await answer.read()).decode()
    assert '"content": "Hel"' in text
    last = json.loads(text.strip().splitlines()[-1].removeprefix("data: "))
    assert last["type"] == "urn:aiapi:problem:upstream-broken"
    assert last["error"]["message"] == last["detail"]


async def test_the_upstreams_own_errors_pass_through_as_problems(upstream: StandIn) -> None:
    upstream.always = refusal(400, "max_tokens is too large")
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        details = await problem(answer)
    assert (details["status"], details["detail"]) == (400, "max_tokens is too large")
    assert details["error"]["code"] == "the_code"
    assert len(upstream.bodies) == 1, "errors of the caller are not retried"


async def test_a_refused_gateway_key_is_502_and_not_quoted(upstream: StandIn) -> None:
    upstream.always = refusal(401, "Incorrect API key provided: sk-secret")
    async with (
        gateway(upstreams=upstream.url, upstream_retries=0) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        details = await problem(answer)
    assert (details["status"], "sk-secret" in str(details)) == (502, False)
    assert "AIAPI_UPSTREAM_API_KEY" in details["detail"]


async def test_models_are_those_of_all_upstreams(upstream: StandIn, second: StandIn) -> None:
    config = json.dumps([{"url": upstream.url}, {"url": second.url, "models": ["named", "a/b"]}])
    async with gateway(upstreams=config) as client:
        for _ in range(2):
            async with client.get("/v1/models") as answer:
                names = [card["id"] for card in (await answer.json())["data"]]
                assert names == ["stand-in", "named", "a/b"]
        async with client.get("/v1/models/a/b") as answer:
            assert (await answer.json())["owned_by"] == second.url.removeprefix("http://")
        async with client.get("/v1/models/none") as answer:
            assert (await problem(answer))["status"] == 404
    assert len(upstream.requests) == 1, "model lists are cached"


async def test_without_an_upstream_the_problem_names_the_setting() -> None:
    async with gateway() as client:
        for method, path in (("POST", CHAT), ("GET", "/v1/models")):
            async with client.request(method, path, json=QUESTION) as answer:
                assert answer.status == 503
                details = await problem(answer)
                assert details["type"] == "urn:aiapi:problem:no-upstream"
                assert "AIAPI_UPSTREAMS" in details["detail"]
                assert "aiapi[service,local]" in details["detail"]
        async with client.get("/") as answer:
            assert "AIAPI_UPSTREAMS" in (await answer.json())["hint"]


async def test_no_reachable_upstream_is_a_bad_gateway() -> None:
    async with gateway(upstreams=dead_url()) as client, client.post(CHAT, json=QUESTION) as answer:
        assert answer.status == 502
        assert (await problem(answer))["type"] == "urn:aiapi:problem:upstream-unreachable"


async def test_a_silent_upstream_is_a_timeout(upstream: StandIn) -> None:
    upstream.pause = 60
    async with (
        gateway(upstreams=upstream.url, upstream_read_timeout=0.2) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        assert answer.status == 504
        assert (await problem(answer))["type"] == "urn:aiapi:problem:upstream-timeout"
    assert len(upstream.bodies) == 1, "it may be billed, so it is not retried"


JSON = {"Content-Type": "application/json"}
_DEEP = b'{"model": "m", "messages": [], "tools": ' + b"[" * 40 + b"]" * 40 + b"}"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, None),
        (b"[]", 422, ""),
        (b'{"a": "' + b"x" * 2000 + b'"}', 413, ""),
        (b'{"model": "\\ud800", "messages": []}', 400, None),
        (b'{"model": "a\\u0007", "messages": [{"role": "user"}]}', 422, "model"),
        (b'{"model": "m", "messages": []}', 422, "messages"),
        (b'{"model": "m", "messages": [{"role": "me"}]}', 422, "messages[0].role"),
        (b'{"model": "m", "messages": [{"role": "user"}], "n": "2"}', 422, "n"),
        (b'{"model": "m", "messages": [{"role": "user"}], "temperature": NaN}', 400, None),
        (_DEEP, 422, "tools"),
        (b'{"model":' + b"[" * 400 + b"]" * 400 + b"}", 422, ""),
    ],
)
async def test_an_invalid_body_is_refused_before_the_upstream_call(
    upstream: StandIn, body: bytes, status: int, field: str | None
) -> None:
    async with (
        gateway(upstreams=upstream.url, max_body_bytes=1000) as client,
        client.post(CHAT, data=body, headers=JSON) as answer,
    ):
        details = await problem(answer)
    assert details["status"] == status, details
    if field is not None:
        assert details["errors"][0]["field"] == field
    assert upstream.requests == []


async def test_a_body_without_a_length_is_bounded_too(upstream: StandIn) -> None:
    async def endless():
        for _ in range(50):
            yield b" " * 100

    async with gateway(upstreams=upstream.url, max_body_bytes=1000) as client:
        with suppress(aiohttp.ClientConnectionError):
            async with client.post(CHAT, data=endless(), headers=JSON) as answer:
                assert answer.status == 413


_BEGUN = "Host: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


async def test_a_body_that_is_not_sent_times_out() -> None:
    async with gateway(body_timeout=0.2) as client:
        reader, writer = await asyncio.open_connection(client._base_url.host, client._base_url.port)
        writer.write(f"POST {CHAT} HTTP/1.1\r\n{_BEGUN}".encode())
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"was not received within AIAPI_BODY_TIMEOUT (0.2 s)" in answer


async def test_a_disconnect_during_the_body_is_not_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gone = metering.ROUTE.labels(CHAT, "4xx")
    before = sum(gone.values[:-1])
    async with gateway() as client:
        _, writer = await asyncio.open_connection(client._base_url.host, client._base_url.port)
        writer.write(f"POST {CHAT} HTTP/1.1\r\n{_BEGUN}".encode())
        await writer.drain()
        writer.close()

        async def counted() -> bool:
            return sum(gone.values[:-1]) > before

        await until(counted)
    assert "Traceback" not in caplog.text


async def test_every_error_is_a_problem() -> None:
    async with gateway() as client:
        async with client.get("/nothing") as answer:
            assert answer.status == 404
            assert "/nothing" in (await problem(answer))["detail"]
        async with client.delete(CHAT) as answer:
            assert (await problem(answer))["status"] == 405
            assert answer.headers["Allow"] == "POST"
        async with client.post(CHAT, data="hi") as answer:
            assert (await problem(answer))["status"] == 415
        packed = {"Content-Encoding": "gzip", **JSON}
        async with client.post(CHAT, data=b"abcd", headers=packed) as answer:
            assert (await problem(answer))[
                "detail"
            ] == "Send the body without Content-Encoding: gzip."
            assert (answer.status, answer.headers["Accept-Encoding"]) == (415, "identity")


async def test_a_number_that_is_too_large_is_refused_with_its_field(upstream: StandIn) -> None:
    async with gateway(upstreams=upstream.url) as client:
        for number in ("1e400", "-1e999", "1" * 400 + ".0"):
            raw = json.dumps(QUESTION)[:-1] + f', "metadata": {{"a": [0, {number}]}}}}'
            headers = {"Content-Type": "application/json"}
            async with client.post(CHAT, data=raw, headers=headers) as answer:
                details = await problem(answer)
                assert details["status"] == 422
                assert details["errors"][0]["field"] == "metadata.a[1]"
        large = {**QUESTION, "metadata": {"a": 1e300}}
        async with client.post(CHAT, json=large) as answer:
            assert answer.status == 200
    assert len(upstream.requests) == 1


async def test_integers_written_as_floats_reach_the_upstream_as_integers(
    upstream: StandIn,
) -> None:
    async with gateway(upstreams=upstream.url) as client:
        body = {**QUESTION, "max_tokens": 5.0, "seed": 7.0, "temperature": 1.0}
        async with client.post(CHAT, json=body) as answer:
            assert answer.status == 200
        embedded = {"model": "m", "input": "x", "dimensions": 8.0}
        async with client.post("/v1/embeddings", json=embedded) as answer:
            assert answer.status == 200
        async with client.post(CHAT, json={**QUESTION, "max_tokens": 5.5}) as answer:
            assert (await problem(answer))["errors"][0]["field"] == "max_tokens"
    assert b'"max_tokens": 5, "seed": 7, "temperature": 1.0' in upstream.raw[0]
    assert b'"dimensions": 8}' in upstream.raw[1]


async def test_an_unexpected_error_is_a_problem(
    upstream: StandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("a secret of the code")

    monkeypatch.setattr("aiapi_service.gateway.routes.models._cards", fail)
    before = metering.ROUTE.labels("/v1/models", "5xx").values[-1]
    async with gateway(upstreams=upstream.url) as client, client.get("/v1/models") as answer:
        details = await problem(answer)
    assert (details["status"], details["type"]) == (500, "urn:aiapi:problem:internal")
    assert "secret" not in str(details)
    assert metering.ROUTE.labels("/v1/models", "5xx").values[-1] > before
    assert "GET /v1/models failed" in caplog.text
    assert "a secret of the code" in caplog.text
