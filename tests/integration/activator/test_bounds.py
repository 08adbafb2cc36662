"""Connections and heads are bounded in number and time."""

import asyncio

import pytest
from activator_support.rig import Rig, rig, until

from aiapi_operator.activator import client, listeners
from aiapi_operator.activator.limits import Limits


async def test_a_head_that_does_not_end_is_answered(
    activator: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "HEAD_TIMEOUT", 0.2)
    answer = await activator.raw(b"GET / HTTP/1.1\r\nHost: a\r\n")
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout")
    assert b"did not come within 0.2 s" in answer


async def test_a_connection_without_a_request_is_closed(
    activator: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "IDLE", 0.2)
    assert await activator.raw(b"") == b""
    await until(lambda: activator.gate.connections == 0)


async def test_connections_beyond_the_bound_are_refused() -> None:
    async with rig(Limits(connections=2)) as activator:
        open_connections = [await activator.connect() for _ in range(2)]
        await until(lambda: activator.gate.connections == 2)
        answer = await activator.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Retry-After" in answer
        for connection in open_connections:
            await connection.close()


async def test_a_port_that_is_not_wanted_closes_when_it_is_quiet(
    activator: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "QUIET", 0.0)
    monkeypatch.setattr(listeners, "_INTERVAL", 0.05)
    connection = await activator.connect()
    await until(lambda: activator.gate.connections == 1)
    activator.set(port=None)
    await asyncio.sleep(0.2)
    assert activator.listeners._open
    await connection.close()
    await until(lambda: not activator.listeners._open)
    assert not list(activator.listeners.gates())
    assert 'name="assistant"' not in activator.metrics.text().decode()
