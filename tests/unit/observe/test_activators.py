"""What activators say of an AIApi, and whose answer to a probe counts."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from aiapi_operator.observe import activators
from aiapi_operator.observe.activators import (
    ActivatorAnswer,
    ActivatorClient,
    ActivatorPod,
    answer_of,
)

POD = ActivatorPod("activator-1", "127.0.0.1")
STATE = '{"aiapis": {"prod/a": {"idle_seconds": 3, "held": 2}}}'
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.mark.parametrize(
    ("aiapis", "expected"),
    [
        ({"prod/a": {"idle_seconds": 12.5, "held": 3}}, ActivatorAnswer(12.5, 3)),
        ({"prod/a": {"idle_seconds": 0, "held": 0}}, ActivatorAnswer(0.0, 0)),
        ({"prod/b": {"idle_seconds": 12.5, "held": 3}}, None),
        ({}, None),
    ],
)
def test_the_state_of_one_aiapi(aiapis: object, expected: ActivatorAnswer | None) -> None:
    assert answer_of(json.dumps({"aiapis": aiapis}).encode(), "prod/a") == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"aiapis": []}',
        b'{"aiapis": {"prod/a": {}}}',
        b'{"aiapis": {"prod/a": {"idle_seconds": -1, "held": 0}}}',
        b'{"aiapis": {"prod/a": {"idle_seconds": NaN, "held": 0}}}',
        b'{"aiapis": {"prod/a": {"idle_seconds": 1, "held": -1}}}',
        b"\xff",
    ],
)
def test_anything_else_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        answer_of(body, "prod/a")


@asynccontextmanager
async def client(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[ActivatorClient, int]]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    monkeypatch.setattr(activators, "ADMIN_PORT", port)
    async with aiohttp.ClientSession() as session:
        yield ActivatorClient(session, deadline=0.5), port
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, STATE, ActivatorAnswer(3.0, 2)),
        (200, "garbage", None),
        (500, STATE, None),
        (302, "", None),
    ],
)
async def test_an_activator_that_does_not_answer_well_is_unknown(
    status: int, body: str, expected: ActivatorAnswer | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.path_qs == "/state?aiapi=prod/a"
        return web.Response(status=status, text=body, headers={"Location": "/elsewhere"})

    async with client(handler, monkeypatch) as (asks, _):
        assert await asks.ask([POD], ("prod", "a")) == {POD: expected}


async def test_an_activator_that_hangs_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.pause_reading()  # type: ignore[attr-defined] # a socket's transport
        raise ConnectionResetError

    async with client(handler, monkeypatch) as (asks, _):
        assert await asks.ask([POD], ("prod", "a")) == {POD: None}


@pytest.mark.parametrize(
    ("activator", "echo", "expected"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
async def test_only_an_activator_answers_a_probe(
    activator: bool, echo: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(request: web.Request) -> web.Response:
        headers = {"x-aiapi-activator": "activator-1"} if activator else {}
        nonce = request.headers["x-aiapi-probe"]
        return web.Response(
            status=204, headers={**headers, "x-aiapi-probe": nonce if echo else "another"}
        )

    async with client(handler, monkeypatch) as (asks, port):
        assert await asks.answers("127.0.0.1", port) is expected
        assert await asks.answers("127.0.0.1", 1) is False
