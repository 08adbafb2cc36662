"""The gateway under Uvicorn, with a stand-in upstream on loopback."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
import uvicorn
from aiohttp import web

from aiapi_service.gateway.app import create_app
from aiapi_service.gateway.settings import Settings


class StandIn:
    """An upstream that counts what reaches it."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[dict[str, Any]] = []
        self.cancelled = asyncio.Event()
        self.pause = 0.0
        self.pieces = 3
        self.break_after: int | None = None

    async def complete(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.json())
        try:
            await asyncio.sleep(self.pause)
            if self.bodies[-1].get("stream"):
                return await self._stream(request)
        except (asyncio.CancelledError, ConnectionError):
            self.cancelled.set()
            raise
        if self.bodies[-1].get("model") == "unknown":
            return web.json_response({"error": "no such model"}, status=404)
        return web.json_response({"choices": [{"message": {"content": "hello"}}]})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for index in range(self.pieces):
            await response.write(f"data: {index}\n\n".encode())
            if index == self.break_after:
                assert request.transport is not None
                request.transport.close()
            await asyncio.sleep(0.02)
        await response.write(b"data: [DONE]\n\n")
        return response

    async def models(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.json_response({"data": [{"id": "stand-in"}]})


@pytest.fixture
async def stand_in() -> AsyncIterator[tuple[StandIn, str]]:
    upstream = StandIn()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", upstream.complete)
    app.router.add_get("/v1/models", upstream.models)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield upstream, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def gateway(**settings: Any) -> AsyncIterator[aiohttp.ClientSession]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(Settings(**settings)), log_level="warning", ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with aiohttp.ClientSession(base) as session:
            yield session
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, 10)
        listener.close()


CHAT = "/v1/chat/completions"
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def test_a_completion_passes_through_with_the_upstreams_key(
    stand_in: tuple[StandIn, str],
) -> None:
    upstream, url = stand_in
    async with gateway(upstreams=url, upstream_api_key="s3cret") as client:
        mine = {"Authorization": "Bearer mine"}
        async with client.post(CHAT, json=QUESTION, headers=mine) as answer:
            assert answer.status == 200
            assert (await answer.json())["choices"][0]["message"]["content"] == "hello"
    assert upstream.bodies == [QUESTION]
    assert upstream.requests[0].headers["Authorization"] == "Bearer s3cret"


async def test_a_callers_key_is_never_given_to_the_upstream(stand_in: tuple[StandIn, str]) -> None:
    upstream, url = stand_in
    async with gateway(upstreams=url) as client:
        mine = {"Authorization": "Bearer mine"}
        async with client.post(CHAT, json=QUESTION, headers=mine) as answer:
            assert answer.status == 200
    assert "Authorization" not in upstream.requests[0].headers


async def test_a_stream_arrives_piece_by_piece(stand_in: tuple[StandIn, str]) -> None:
    _, url = stand_in
    async with (
        gateway(upstreams=url) as client,
        client.post(CHAT, json={**QUESTION, "stream": True}) as answer,
    ):
        assert answer.content_type == "text/event-stream"
        pieces = [piece async for piece in answer.content.iter_any()]
    assert b"".join(pieces) == b"data: 0\n\ndata: 1\n\ndata: 2\n\ndata: [DONE]\n\n"
    assert len(pieces) > 1


async def test_leaving_a_stream_cancels_the_upstream_call(stand_in: tuple[StandIn, str]) -> None:
    upstream, url = stand_in
    upstream.pieces = 10_000
    async with gateway(upstreams=url) as client:
        answer = await client.post(CHAT, json={**QUESTION, "stream": True})
        await answer.content.readany()
        answer.close()
        await asyncio.wait_for(upstream.cancelled.wait(), 5)


async def test_leaving_before_the_first_byte_cancels_the_upstream_call(
    stand_in: tuple[StandIn, str],
) -> None:
    upstream, url = stand_in
    upstream.pause = 30
    async with gateway(upstreams=url) as client:
        with suppress(TimeoutError):
            await client.post(CHAT, json=QUESTION, timeout=aiohttp.ClientTimeout(total=0.3))
        await asyncio.wait_for(upstream.cancelled.wait(), 5)


async def test_a_broken_stream_is_told_in_the_stream(stand_in: tuple[StandIn, str]) -> None:
    upstream, url = stand_in
    upstream.break_after = 1
    async with (
        gateway(upstreams=url) as client,
        client.post(CHAT, json={**QUESTION, "stream": True}) as answer,
    ):
        text = (await answer.read()).decode()
    assert text.startswith("data: 0\n\ndata: 1\n\n")
    last = json.loads(text.strip().splitlines()[-1].removeprefix("data: "))
    assert "stream broke" in last["error"]["message"]


async def test_the_upstreams_own_errors_pass_through(stand_in: tuple[StandIn, str]) -> None:
    _, url = stand_in
    async with (
        gateway(upstreams=url) as client,
        client.post(CHAT, json={**QUESTION, "model": "unknown"}) as answer,
    ):
        assert (answer.status, await answer.json()) == (404, {"error": "no such model"})


async def test_models_are_the_upstreams(stand_in: tuple[StandIn, str]) -> None:
    _, url = stand_in
    async with gateway(upstreams=url) as client, client.get("/v1/models") as answer:
        assert await answer.json() == {"data": [{"id": "stand-in"}]}


async def test_an_upstream_that_is_away_is_passed_over(stand_in: tuple[StandIn, str]) -> None:
    upstream, url = stand_in
    async with gateway(upstreams=f"{dead_url()},{url}") as client:
        for _ in range(4):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 200
    assert len(upstream.requests) == 4


def dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def problem(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    assert answer.content_type == "application/problem+json"
    details: dict[str, Any] = await answer.json()
    assert details["status"] == answer.status
    return details


async def test_without_an_upstream_the_answer_names_the_way_out() -> None:
    async with gateway() as client:
        for method, path in (("POST", CHAT), ("GET", "/v1/models")):
            async with client.request(method, path, json=QUESTION) as answer:
                assert answer.status == 503
                details = await problem(answer)
                assert details["type"] == "urn:aiapi:problem:no-upstream"
                assert "AIAPI_UPSTREAMS" in details["detail"]
        async with client.get("/") as answer:
            assert "AIAPI_UPSTREAMS" in (await answer.json())["hint"]


async def test_no_reachable_upstream_is_a_bad_gateway() -> None:
    async with gateway(upstreams=dead_url()) as client, client.post(CHAT, json=QUESTION) as answer:
        assert (answer.status, (await problem(answer))["type"]) == (
            502,
            "urn:aiapi:problem:upstream-unreachable",
        )


async def test_a_silent_upstream_is_a_timeout(stand_in: tuple[StandIn, str]) -> None:
    upstream, url = stand_in
    upstream.pause = 30
    async with (
        gateway(upstreams=url, upstream_read_timeout=0.2) as client,
        client.post(CHAT, json=QUESTION) as answer,
    ):
        assert answer.status == 504
        assert (await problem(answer))["type"] == "urn:aiapi:problem:upstream-timeout"


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 400), (b'{"a": "' + b"x" * 2000 + b'"}', 413)]
)
async def test_a_bad_body_is_refused_before_the_upstream_sees_it(
    stand_in: tuple[StandIn, str], body: bytes, status: int
) -> None:
    upstream, url = stand_in
    async with (
        gateway(upstreams=url, max_body_bytes=1000) as client,
        client.post(CHAT, data=body) as answer,
    ):
        assert answer.status == status
        await problem(answer)
    assert upstream.requests == []


async def test_an_unknown_path_is_a_problem_too() -> None:
    async with gateway() as client, client.get("/v1/nothing") as answer:
        assert answer.status == 404
        assert "/v1/nothing" in (await problem(answer))["detail"]
