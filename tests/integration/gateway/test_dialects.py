"""Upstreams that are almost compatible: how Mistral, Azure, Gemini and others differ."""

import asyncio
import gzip
import json
import logging
from typing import Any

import openai
import pytest
from aiohttp import web
from gateway_support.server import CHAT, QUESTION, gateway, problem, serving, settings, upstreams
from gateway_support.upstream import StandIn, chunk, completion

from aiapi_service.gateway.upstreams import metering

_COMMENT = b": keep-alive\n\n"
STREAMED = {**QUESTION, "stream": True}
_FORBIDDEN = {
    "type": "extra_forbidden",
    "loc": ["body", "stream_options", "include_usage"],
    "msg": "Extra inputs are not permitted",
    "input": True,
}
MISTRAL = {"object": "error", "message": {"detail": [_FORBIDDEN]}, "type": "invalid_request_error"}
AZURE = {"error": {"message": "Unknown parameter: 'stream_options'.", "param": "stream_options"}}
OLDER_AZURE = {"error": {"message": "Unrecognized request argument supplied: stream_options"}}


@pytest.mark.parametrize(
    ("status", "body"),
    [(422, MISTRAL), (400, AZURE), (400, OLDER_AZURE), (422, {"detail": [_FORBIDDEN]})],
)
async def test_a_stream_is_requested_again_without_stream_options(
    upstream: StandIn, status: int, body: Any, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.rejects_options = web.json_response(body, status=status)
    async with gateway(upstreams=upstreams(upstream.url, name="strict")) as client:
        for _ in range(3):
            async with client.post(CHAT, json=STREAMED) as answer:
                assert answer.status == 200
                assert (await answer.text()).endswith("data: [DONE]\n\n")
    assert ["stream_options" in one for one in upstream.bodies] == [True, False, False, False]
    assert upstream.bodies[1:] == [STREAMED] * 3
    warnings = [one.message for one in caplog.records if one.levelno == logging.WARNING]
    assert sum("strict rejects stream_options" in one for one in warnings) == 1
    assert metering.STATE.labels("strict").values[0] == 0, "it counts as a success"


async def test_stream_options_of_the_caller_are_not_dropped(upstream: StandIn) -> None:
    upstream.rejects_options = web.json_response(MISTRAL, status=422)
    body = {**STREAMED, "stream_options": {"include_usage": True}}
    async with gateway(upstreams=upstream.url) as client, client.post(CHAT, json=body) as answer:
        details = await problem(answer)
    assert (details["status"], len(upstream.bodies)) == (422, 1)
    assert details["detail"] == ("stream_options.include_usage: Extra inputs are not permitted")


async def test_a_renamed_model_is_sent_without_stream_options_too(upstream: StandIn) -> None:
    upstream.rejects_options = web.json_response(AZURE, status=400)
    config = upstreams(upstream.url, models={"m": "their-name"})
    async with gateway(upstreams=config) as client, client.post(CHAT, json=STREAMED) as answer:
        assert answer.status == 200
        await answer.read()
    assert upstream.bodies[1] == {**STREAMED, "model": "their-name"}


async def test_azure_has_its_key_and_version_elsewhere(upstream: StandIn) -> None:
    base = f"{upstream.url}/openai/deployments/gpt?api-version=2024-06-01"
    config = upstreams(base, name="azure", api_key="s3cret", api_key_header="api-key")
    async with gateway(upstreams=config) as client, client.post(CHAT, json=QUESTION) as answer:
        assert answer.status == 200
    (request,) = upstream.requests
    assert request.path_qs == "/openai/deployments/gpt/chat/completions?api-version=2024-06-01"
    assert request.headers["api-key"] == "s3cret"
    assert "Authorization" not in request.headers


async def test_an_error_in_a_list_is_read(upstream: StandIn) -> None:
    body = [{"error": {"code": 400, "message": "Invalid value", "status": "INVALID_ARGUMENT"}}]
    upstream.always = web.json_response(body, status=400)
    async with (
        gateway(upstreams=f"{upstream.url}/v1beta/openai/") as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        details = await problem(answer)
    assert (details["status"], details["detail"]) == (400, "Invalid value")
    assert details["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_compressed_response_is_read(upstream: StandIn, stream: bool) -> None:
    plain = json.dumps(completion("m", "hello")).encode()
    events = chunk("m", "hello") + b"data: [DONE]\n\n"
    upstream.always = web.Response(
        body=gzip.compress(events if stream else plain),
        content_type="text/event-stream" if stream else "application/json",
        headers={"Content-Encoding": "gzip"},
    )
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post(CHAT, json={**QUESTION, "stream": stream}) as answer,
    ):
        assert answer.status == 200
        assert await answer.read() == (events if stream else plain)
        assert "Content-Encoding" not in answer.headers


async def test_a_small_response_that_unpacks_to_a_large_one_is_refused(upstream: StandIn) -> None:
    upstream.always = web.Response(
        body=gzip.compress(b'{"a": "' + b"x" * 20_000_000 + b'"}'),
        content_type="application/json",
        headers={"Content-Encoding": "gzip"},
    )
    async with (
        gateway(upstreams=upstream.url, max_answer_bytes=1_000_000) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        details = await problem(answer)
    assert "more than AIAPI_MAX_ANSWER_BYTES (1000000)" in details["detail"]


class SilentStandIn(StandIn):
    """Pauses within a stream until it may continue."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def respond(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(chunk("m", "Hel"))
        await self.go_on.wait()
        await response.write(chunk("m", "lo") + b"data: [DONE]\n\n")
        return response


async def _serve(upstream: SilentStandIn) -> web.AppRunner:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", upstream.respond)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return runner


async def test_a_silent_stream_has_comments_that_clients_ignore() -> None:
    upstream = SilentStandIn()
    runner = await _serve(upstream)
    gateway_settings = settings(upstreams=upstream.url, stream_keepalive=0.05)
    try:
        async with (
            serving(gateway_settings) as base,
            openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="key") as client,
        ):
            create = client.chat.completions.with_streaming_response.create
            received = b""
            async with create(model="m", messages=QUESTION["messages"], stream=True) as answer:
                async for piece in answer.iter_bytes():
                    received += piece
                    if received.count(_COMMENT) == 2:
                        upstream.go_on.set()
            sent = chunk("m", "Hel") + chunk("m", "lo") + b"data: [DONE]\n\n"
            assert received.replace(_COMMENT, b"") == sent
            upstream.go_on.clear()
            stream = await client.chat.completions.create(
                model="m", messages=QUESTION["messages"], stream=True
            )
            asyncio.get_running_loop().call_later(0.2, upstream.go_on.set)
            chunks = [one async for one in stream]
        assert "".join(one.choices[0].delta.content or "" for one in chunks) == "Hello"
    finally:
        await runner.cleanup()
