"""What the operator takes for load: the real runtime, scraped and sized as in a cluster."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import aiohttp
from runtime_support.pod import TOKEN, Pod, serve
from unit.sizing.fleet_model import condition, spec

from aiapi_operator.observe.scraper import StatsScraper
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.inputs import Bounds, Fleet, SizingSpec
from aiapi_operator.sizing.state import State

APP = """
import asyncio, time
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

@asynccontextmanager
async def lifespan(app):
    time.sleep({start})
    yield

async def work(request):
    end = time.thread_time() + 0.008
    while time.thread_time() < end:
        pass
    return PlainTextResponse("ok")

app = Starlette(lifespan=lifespan, routes=[Route("/", work)])
"""
Decide = Callable[[], Awaitable[Decision]]


@asynccontextmanager
async def sized(pod: Pod, desired: Callable[[], SizingSpec]) -> AsyncIterator[Decide]:
    """A function that scrapes the pod, decides, and sets the workers of the pod."""
    admin = urlsplit(pod.admin)
    target = ScrapeTarget(pod="a-1", address=admin.hostname or "", ready=True, port=admin.port or 0)
    state = State()
    async with StatsScraper() as scraper:

        async def decided() -> Decision:
            nonlocal state
            await asyncio.sleep(1.0)
            pods = await scraper.scrape([target], (TOKEN,))
            decision = decide(desired(), Fleet(replicas=1, pods=pods), state, time.monotonic())
            state = decision.state
            await pod.resize(decision.workers)
            return decision

        yield decided


async def test_workers_that_load_a_model_order_no_more_workers(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(APP.format(start=8.0))
    desired = spec(interval=1.0, workers=Bounds(min=1, max=8), replicas=Bounds(min=1, max=5))
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="slow:app") as pod:
        await pod.ready(1)
        async with sized(pod, lambda: desired) as decided:
            for _ in range(4):
                decision = await decided()
                assert (decision.workers, decision.replicas) == (1, 1), decision.message
            desired = spec(
                interval=1.0, workers=Bounds(min=4, max=8), replicas=Bounds(min=1, max=5)
            )
            for _ in range(12):
                decision = await decided()
                assert (decision.workers, decision.replicas) == (4, 1), decision.message
        assert (await pod.ready(4))["start_seconds"] > 8.0


@contextmanager
def crowd(processes: int) -> Iterator[None]:
    """Busy processes, each in a session of its own: so the kernel gives each a share of its own."""
    busy = [
        Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
        for _ in range(processes)
    ]
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.wait()


@asynccontextmanager
async def requests(pod: Pod, rate: float) -> AsyncIterator[None]:
    """An open loop of requests, each on its own connection."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> None:
            async with session.get(f"http://{pod.host}:{pod.port}/") as answer:
                await answer.read()

        async def stream() -> None:
            async with asyncio.TaskGroup() as group:
                due = time.monotonic()
                while True:
                    group.create_task(one())
                    due += 1 / rate
                    await asyncio.sleep(max(0.0, due - time.monotonic()))

        sending = asyncio.create_task(stream())
        try:
            yield
            assert not sending.done(), sending
        finally:
            sending.cancel()
            await asyncio.wait([sending])


async def test_a_noisy_neighbor_orders_no_workers_and_blocks_no_loop(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(APP.format(start=0.0))
    desired = spec(interval=1.0, workers=Bounds(min=1, max=16), replicas=Bounds(min=1, max=4))
    async with (
        serve(tmp_path, f"--app-dir={tmp_path}", app="work:app") as pod,
        sized(pod, lambda: desired) as decided,
        requests(pod, 30.0),
    ):
        await pod.ready(1)
        for _ in range(12):
            quiet = await decided()
        assert quiet.workers * quiet.replicas == 1, quiet.message
        with crowd(6):
            found = [await decided() for _ in range(25)]
    for decision in found:
        assert decision.workers * decision.replicas <= 2, decision.message
        assert decision.need.service_demand is not None
        assert 0.004 < decision.need.service_demand < 0.018
        assert condition(decision, "EventLoopBlocked")[0] is not True
        assert condition(decision, "DependencyBound")[0] is not True
    status, message = condition(found[-1], "CPUContended")
    assert status is True, message
    assert "a-1" in message
