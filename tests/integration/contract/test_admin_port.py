"""The contract between runtime and operator: the real pod runtime, scraper and socket."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from runtime_support.client import Load
from runtime_support.pod import TOKEN, Pod, serve, until
from unit.sizing.fleet_model import spec

from aiapi_operator.observe.scraper import StatsScraper
from aiapi_operator.observe.session import open_session
from aiapi_operator.observe.stats import parse
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.observe.workers_client import HttpWorkersClient
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding, Decision
from aiapi_operator.sizing.inputs import Bounds, Fleet, PodSample, PodUnknown
from aiapi_operator.sizing.state import State


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    async with serve(tmp_path) as pod:
        await pod.ready(1)
        yield pod


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


def where(pod: Pod, name: str = "a-1") -> ScrapeTarget:
    admin = urlsplit(pod.admin)
    assert admin.hostname is not None
    return ScrapeTarget(pod=name, address=admin.hostname, ready=True, port=admin.port or 0)


async def scraped(
    *targets: ScrapeTarget, tokens: tuple[str, ...] = (TOKEN,)
) -> tuple[PodSample | PodUnknown, ...]:
    async with StatsScraper(clock=lambda: 7.0) as scraper:
        return await scraper.scrape(targets, tokens)


async def test_requests_become_counters(pod: Pod, session: aiohttp.ClientSession) -> None:
    (before,) = await scraped(where(pod))
    assert isinstance(before, PodSample), before
    url = f"http://{pod.host}:{pod.port}"
    for path in ("/wait?s=0.05", "/wait?s=0.05", "/status?code=404", "/status?code=503"):
        async with session.get(url + path) as answer:
            await answer.read()

    async def counted() -> PodSample | None:
        (said,) = await scraped(where(pod))
        assert isinstance(said, PodSample), said
        # The pod writes its sums many times a second, but not all of them at one instant.
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
    # Server errors are fast or slow for other reasons, so they have no latency.
    assert sum(after.latency.counts) - sum(before.latency.counts) == 3
    assert after.rss_bytes > 10_000_000


async def test_probes_leave_a_pod_idle_and_requests_do_not(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    async def idle(least: float) -> float | None:
        (said,) = await scraped(where(pod))
        assert isinstance(said, PodSample), said
        assert said.idle_seconds is not None
        return said.idle_seconds if said.idle_seconds >= least else None

    async def used() -> bool:
        return await idle(0.5) is None

    url = f"http://{pod.host}:{pod.port}"
    await until(lambda: idle(1.0))
    probes: tuple[tuple[str, dict[str, str]], ...] = (
        ("/.well-known/aiapi-activator", {}),
        ("/healthz", {}),
        ("/id", {"User-Agent": "kube-probe/1.37"}),
        ("/id", {"User-Agent": "Prometheus/3.5.0"}),
    )
    for path, headers in probes:
        async with session.get(url + path, headers=headers) as answer:
            assert answer.status == 200
    assert await idle(1.0)
    async with session.get(url + "/id") as answer:
        assert answer.status == 200
    await until(used)


async def test_a_pod_at_rest_answers_at_its_first_request(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    """Before that it would answer after a minute, and to what the operator has not seen at once."""
    async with watching(pod) as (ended, watch, scraper):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await ended.wait()
        asked = time.monotonic()
        async with session.get(f"http://{pod.host}:{pod.port}/id") as answer:
            assert answer.status == 200
        async with asyncio.timeout(10):
            await ended.wait()
        assert time.monotonic() - asked < 2.0
        await until(lambda: _keeps(scraper))
        ended.clear()
        watch()
        async with asyncio.timeout(10):
            await ended.wait()


@asynccontextmanager
async def watching(
    pod: Pod,
) -> AsyncIterator[tuple[asyncio.Event, Callable[[], None], StatsScraper]]:
    """What a watch of the pod sets at its end, what watches it again, and the scraper."""
    ended = asyncio.Event()
    async with StatsScraper() as scraper:
        (said,) = await scraper.scrape([where(pod)], (TOKEN,))
        assert isinstance(said, PodSample), said
        assert said.longest_wait == 60

        def watch() -> None:
            assert scraper.watch([where(pod)], [said], (TOKEN,), seconds=60, on_answer=ended.set)

        watch()
        yield ended, watch, scraper


async def _keeps(scraper: StatsScraper) -> bool:
    return bool(scraper._connections._idle)


async def test_a_pod_at_rest_answers_when_its_workers_change(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    async with watching(pod) as (ended, *_):
        assert await HttpWorkersClient(session).set([where(pod)], 2, (TOKEN,)) == {}
        async with asyncio.timeout(10):
            await ended.wait()


async def test_the_first_byte_of_a_stream_counts_while_it_is_open(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    (before,) = await scraped(where(pod))
    assert isinstance(before, PodSample), before
    assert before.first_byte.bounds is before.latency.bounds

    async def begun() -> PodSample | None:
        (now,) = await scraped(where(pod))
        assert isinstance(now, PodSample), now
        first_byte = sum(now.first_byte.counts) > sum(before.first_byte.counts)
        return now if first_byte and now.open_streams else None  # the heartbeat writes the latter

    async with session.get(f"http://{pod.host}:{pod.port}/stream?n=20&s=0.2") as answer:
        await answer.content.readany()
        during = await until(begun)
        assert during.open_streams == 1
        assert sum(during.latency.counts) == sum(before.latency.counts)
        assert during.first_byte.sum - before.first_byte.sum < 1.0


async def test_both_forms_of_histograms_say_the_same(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    """An older operator does not ask for the short form, and an older pod ignores the query."""
    async with session.get(f"http://{pod.host}:{pod.port}/wait?s=0.05") as answer:
        await answer.read()

    async def body(query: str) -> bytes:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with session.get(pod.admin + "/stats" + query, headers=headers) as answer:
            return await answer.read()

    async def counted() -> bool:
        return sum(json.loads(await body(""))["latency"]["counts"]) == 1

    await until(counted)
    full, short = await body(""), await body("?histograms=short")
    for name in ("latency", "ttfb", "loop_lag"):
        histogram = json.loads(full)[name]
        assert sorted(histogram) == ["bounds", "counts", "sum"]
        assert len(histogram["counts"]) == len(histogram["bounds"]) + 1
    assert json.loads(short)["latency"]["counts"]
    assert len(short) < len(full) / 1.5
    old, new = (parse(each, pod="a-1", time=7.0) for each in (full, short))
    assert sum(new.latency.counts) >= 1
    assert new.latency == old.latency
    assert new.first_byte == old.first_byte


async def test_the_count_is_set_and_scraped(pod: Pod, session: aiohttp.ClientSession) -> None:
    workers = HttpWorkersClient(session)
    assert await workers.set([where(pod)], 3, (TOKEN,)) == {}
    (said,) = await scraped(where(pod))
    assert isinstance(said, PodSample), said
    assert said.workers_wanted == 3
    await pod.ready(3)
    (said,) = await scraped(where(pod))
    assert isinstance(said, PodSample), said
    assert said.workers_ready == 3


async def test_a_refused_count_is_reported_with_its_reason(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    refused = await HttpWorkersClient(session).set([where(pod)], 1000, (TOKEN,))
    assert refused["a-1"].startswith("HTTP 422")
    assert await HttpWorkersClient(session).set([where(pod)], 1, (TOKEN,)) == {}


async def test_a_pod_with_the_old_token_still_answers(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    (said,) = await scraped(where(pod), tokens=("new", TOKEN))
    assert isinstance(said, PodSample), said
    assert await HttpWorkersClient(session).set([where(pod)], 1, ("new", TOKEN)) == {}


async def test_a_wrong_token_makes_the_pod_unknown(
    pod: Pod, session: aiohttp.ClientSession
) -> None:
    (said,) = await scraped(where(pod), tokens=("wrong",))
    assert isinstance(said, PodUnknown)
    assert "401" in said.reason
    assert "401" in (await HttpWorkersClient(session).set([where(pod)], 2, ("wrong",)))["a-1"]


async def test_the_reason_of_a_failed_import_is_scraped(tmp_path: Path) -> None:
    async with serve(tmp_path, app="nosuch:app") as pod:

        async def failed() -> str:
            (said,) = await scraped(where(pod))
            return said.failure if isinstance(said, PodSample) else ""

        async with asyncio.timeout(10):
            while not (failure := await failed()):  # noqa: ASYNC110 - asked over HTTP
                await asyncio.sleep(0.05)
        assert failure == "ModuleNotFoundError: No module named 'nosuch'"


THREADED = """
import time
from fastapi import FastAPI
app = FastAPI()

@app.get("/")
def blocking():
    time.sleep(0.3)
"""


async def test_requests_that_wait_for_threads_lead_to_more_workers(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    (tmp_path / "shop.py").write_text(THREADED)
    desired = spec(workers=Bounds(min=1, max=8), replicas=Bounds(min=1, max=1))
    state = State()

    async def decided() -> Decision:
        nonlocal state
        await asyncio.sleep(0.5)
        pods = await scraper.scrape([where(pod)], (TOKEN,))
        decision = decide(desired, Fleet(replicas=1, pods=pods), state, time.monotonic())
        state = decision.state
        return decision

    async def starved() -> Decision | None:
        decision = await decided()
        # On a busy machine, event loops may need more workers in the first seconds.
        is_for_threads = decision.workers > 1 and decision.need.binding is Binding.THREADS
        return decision if is_for_threads else None

    async def relieved() -> bool:
        (use,) = (await decided()).state.ticks[-1].threads
        return use.busy > 45 and use.waiting < 10

    async with (
        serve(tmp_path, f"--app-dir={tmp_path}", app="shop:app") as pod,
        StatsScraper() as scraper,
        Load(pod.host, pod.port, keeping=60) as load,
    ):
        decision = await until(starved)
        pool = (await pod.stats())["threads"]["anyio"]
        assert pool["limit"] == 40
        # Some of the 60 clients may be between two requests.
        assert pool["busy"] + pool["waiting"] > 50
        assert "busy threads (anyio) expected / (40 per worker x 0.8)" in decision.message
        found = next(each for each in decision.conditions if each.type == "DependencyBound")
        assert not found.status, found.message
        assert await HttpWorkersClient(session).set([where(pod)], decision.workers, (TOKEN,)) == {}
        await until(relieved)
        assert load.result.lost == []
