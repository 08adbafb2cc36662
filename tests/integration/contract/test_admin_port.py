"""Where service and operator meet: the real pod runtime, the real scraper, a real socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from runtime_support.pod import TOKEN, Pod, serve, until

from aiapi_operator.observe.scraper import Scraper
from aiapi_operator.observe.session import open_session
from aiapi_operator.observe.target import Target
from aiapi_operator.observe.workers import Workers
from aiapi_operator.sizing.inputs import PodSample, PodUnknown


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        yield pod


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


def where(pod: Pod, name: str = "a-1") -> Target:
    admin = urlsplit(pod.admin)
    assert admin.hostname is not None
    return Target(pod=name, address=admin.hostname, ready=True, port=admin.port or 0)


async def scraped(
    session: aiohttp.ClientSession, *targets: Target, tokens: tuple[str, ...] = (TOKEN,)
) -> tuple[PodSample | PodUnknown, ...]:
    return await Scraper(session, clock=lambda: 7.0).scrape(targets, tokens)


async def test_requests_become_counters(pod: Pod, session: aiohttp.ClientSession) -> None:
    (before,) = await scraped(session, where(pod))
    assert isinstance(before, PodSample), before
    url = f"http://{pod.host}:{pod.port}"
    for path in ("/wait?s=0.05", "/wait?s=0.05", "/status?code=404", "/status?code=503"):
        async with session.get(url + path) as answer:
            await answer.read()

    async def counted() -> PodSample | None:
        (said,) = await scraped(session, where(pod))
        assert isinstance(said, PodSample), said
        # The pod writes its sums many times a second, and not all of them at one instant.
        latencies = sum(said.latency.counts) - sum(before.latency.counts)
        failed = said.server_errors - before.server_errors
        return said if failed == 1 and latencies == 3 else None

    after = await until(counted)
    assert after.time == 7.0
    assert after.instance == before.instance
    assert after.succeeded - before.succeeded == 2
    assert after.client_errors - before.client_errors == 1
    assert after.server_errors - before.server_errors == 1
    assert 0.09 < after.in_flight_seconds - before.in_flight_seconds < 2
    assert after.worker_seconds > before.worker_seconds
    assert 0 < after.loop_seconds <= after.worker_seconds
    # Errors of the server are fast or slow for reasons of their own: they have no latency here.
    assert sum(after.latency.counts) - sum(before.latency.counts) == 3
    assert after.rss_bytes > 10_000_000


async def test_workers_are_set_and_seen(pod: Pod, session: aiohttp.ClientSession) -> None:
    workers = Workers(session)
    assert await workers.set([where(pod)], 3, (TOKEN,)) == {}
    (said,) = await scraped(session, where(pod))
    assert isinstance(said, PodSample), said
    assert said.workers_wanted == 3
    await pod.ready(3)
    (said,) = await scraped(session, where(pod))
    assert isinstance(said, PodSample), said
    assert said.workers_ready == 3


async def test_a_count_that_the_pod_refuses_is_told_with_its_reason(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    refused = await Workers(session).set([where(pod)], 1000, (TOKEN,))
    assert refused["a-1"].startswith("HTTP 422")
    assert await Workers(session).set([where(pod)], 1, (TOKEN,)) == {}


async def test_a_pod_that_knows_only_the_old_token_still_answers(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    (said,) = await scraped(session, where(pod), tokens=("new", TOKEN))
    assert isinstance(said, PodSample), said
    assert await Workers(session).set([where(pod)], 1, ("new", TOKEN)) == {}


async def test_a_wrong_token_makes_the_pod_unknown(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    (said,) = await scraped(session, where(pod), tokens=("wrong",))
    assert isinstance(said, PodUnknown)
    assert "401" in said.reason
    assert "401" in (await Workers(session).set([where(pod)], 2, ("wrong",)))["a-1"]


async def test_an_app_that_does_not_import_says_why(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with serve(tmp_path, app="nosuch:app") as pod:

        async def failed() -> str:
            (said,) = await scraped(session, where(pod))
            return said.failure if isinstance(said, PodSample) else ""

        async with asyncio.timeout(10):
            while not (failure := await failed()):  # noqa: ASYNC110 - asked over HTTP
                await asyncio.sleep(0.05)
        assert failure == "ModuleNotFoundError: No module named 'nosuch'"
