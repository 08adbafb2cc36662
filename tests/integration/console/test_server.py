"""The console's server: read-only, with a check of the Host header, and within its limits."""

import asyncio

import aiohttp
import pytest
from console_support.fixtures import ConsoleWorld, manifest

from aiapi_operator.console import server
from aiapi_operator.console.server import is_loopback


@pytest.fixture
def world() -> ConsoleWorld:
    found = ConsoleWorld()
    found.aiapis = [manifest("assistant")]
    return found


async def test_pages_and_files_are_served_with_a_strict_policy(world: ConsoleWorld) -> None:
    async with world.served() as url, aiohttp.ClientSession() as session:
        for path, kind in (
            ("/", "text/html"),
            ("/aiapis/shop/assistant", "text/html"),
            ("/aiapis/shop/assistant?span=2", "text/html"),
            ("/?page=99999999&sort=nonsense&q=" + "x" * 500, "text/html"),
            ("/static/console.css", "text/css"),
            ("/static/console.js", "text/javascript"),
            ("/static/icon.svg", "image/svg+xml"),
        ):
            async with session.get(url + path) as answer:
                assert answer.status == 200, path
                assert answer.content_type == kind
                policy = answer.headers["Content-Security-Policy"]
                assert "unsafe" not in policy
                assert "default-src 'none'" in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cache-Control"] == "no-store"
                # The page has nothing that the policy forbids.
                text = await answer.text()
                assert " style=" not in text
                assert " onclick=" not in text


@pytest.mark.parametrize(
    "path", ["/nothing", "/aiapis/shop/other", "/static/../server.py", "/static/server.py"]
)
async def test_unknown_paths_are_not_found(world: ConsoleWorld, path: str) -> None:
    async with (
        world.served() as url,
        aiohttp.ClientSession() as session,
        session.get(url + path) as answer,
    ):
        assert answer.status == 404
        assert "Not found" in await answer.text()
        assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_nothing_can_be_changed(world: ConsoleWorld, method: str) -> None:
    async with world.served() as url, aiohttp.ClientSession() as session:
        for path in ("/", "/aiapis/shop/assistant"):
            async with session.request(method, url + path) as answer:
                assert answer.status == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8081", 200),
        ("127.0.0.1", 200),
        ("[::1]:8081", 200),
        ("console.example.com", 200),
        ("CONSOLE.example.com:443", 200),
        ("evil.example.com", 421),
        ("evil.example.com:8081", 421),
        ("localhost.evil.example.com", 421),
        ("", 421),
    ],
)
async def test_other_host_names_are_rejected(world: ConsoleWorld, host: str, status: int) -> None:
    async with (
        world.served(allowed_hosts=["console.example.com"]) as url,
        aiohttp.ClientSession() as session,
        session.get(url, headers={"Host": host}) as answer,
    ):
        assert answer.status == status
        assert ("assistant" in await answer.text()) is (status == 200)


async def test_connections_above_the_limit_are_closed(
    world: ConsoleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    async with world.served() as url:
        port = int(url.rpartition(":")[2])
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for reader, writer in held:
            writer.write(b"GET /static/icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(10):
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        for _, each in [*held, (reader, writer)]:
            each.close()
            await each.wait_closed()


async def test_a_standby_replica_shows_the_leader(world: ConsoleWorld) -> None:
    world.leads, world.leader = False, "aiapi-operator-7"
    async with (
        world.served() as url,
        aiohttp.ClientSession() as session,
        session.get(url) as answer,
    ):
        text = await answer.text()
    assert "on standby" in text
    assert "aiapi-operator-7" in text


def test_loopback_addresses() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("10.0.0.7")
    assert not is_loopback("console.example.com")
