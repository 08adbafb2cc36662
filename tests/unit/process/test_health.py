"""The operator's HTTP port: probes and metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from aiapi_operator.process.health import HealthServer

TEXT = b"aiapi_operator_leader 1.0\n" * 2000


async def metrics() -> bytes:
    return TEXT


@asynccontextmanager
async def served(*, overdue: list[str] | None = None, problem: str = "") -> AsyncIterator[str]:
    health = HealthServer(
        overdue=lambda: overdue or [], waiting_for=lambda: problem, metrics=metrics
    )
    async with health.serving("127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


async def get(url: str, **headers: str) -> tuple[int, bytes, str]:
    async with (
        aiohttp.ClientSession(auto_decompress=False) as client,
        client.get(url, headers={"Accept-Encoding": "identity", **headers}) as answer,
    ):
        return answer.status, await answer.read(), answer.headers.get("Content-Encoding", "")


async def test_healthz_names_what_is_overdue() -> None:
    async with served(overdue=["shop/a"]) as url:
        assert await get(f"{url}/healthz") == (503, b"overdue: shop/a\n", "")
    async with served() as url:
        assert await get(f"{url}/healthz") == (200, b"ok\n", "")


async def test_readyz_names_the_reason() -> None:
    async with served(problem="no CRD") as url:
        assert await get(f"{url}/readyz") == (503, b"not watching yet: no CRD\n", "")


async def test_metrics_are_compressed_for_clients_that_accept_it() -> None:
    async with served() as url:
        assert await get(f"{url}/metrics") == (200, TEXT, "")
        gzip = {"Accept-Encoding": "gzip"}
        status, body, encoding = await get(f"{url}/metrics", **gzip)
        async with aiohttp.ClientSession() as client, client.get(f"{url}/metrics") as answer:
            assert await answer.read() == TEXT
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert (status, encoding) == (200, "gzip")
    assert len(body) < len(TEXT) / 10
