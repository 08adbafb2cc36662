"""What counts as a worker's load: neither its start-up, nor its shutdown, nor a wait for a CPU."""

import asyncio

import pytest
from runtime_support.pod import serve, until

SLOW_STARTER = """
import asyncio, time
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

def load_model():
    end = time.monotonic() + {seconds}
    while time.monotonic() < end:
        pass

@asynccontextmanager
async def lifespan(app):
    {start}
    yield
    {stop}

async def index(request):
    return PlainTextResponse("ok")

app = Starlette(lifespan=lifespan, routes=[Route("/", index)])
{imported}
"""


def app_file(tmp_path, *, seconds=3.0, start="pass", stop="pass", imported=""):
    text = SLOW_STARTER.format(seconds=seconds, start=start, stop=stop, imported=imported)
    (tmp_path / "slow.py").write_text(text)
    return f"--app-dir={tmp_path}"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_a_lifespan_that_blocks_is_not_load(tmp_path, loop):
    folder = app_file(tmp_path, start="load_model()")
    async with serve(tmp_path, folder, f"--loop={loop}", app="slow:app") as pod:
        readings = []

        async def started():
            readings.append(await pod.stats())
            return readings[-1]["workers"]["ready"] == 1

        await until(started)
        await asyncio.sleep(0.5)
        readings.append(await pod.stats())
    assert readings[-1]["uptime"] > 3.4
    for stats in readings:
        assert stats["loop_seconds"] < 0.4, stats["uptime"]
        assert stats["cpu_seconds"] < 0.4
        assert stats["worker_seconds"] < 1.5
        assert stats["workers"]["blocked"] == 0
        assert stats["blocked_at"] == ""
        assert sum(stats["loop_lag"]["counts"]) < 15
    assert readings[0]["start_seconds"] is None
    assert 3.0 < readings[-1]["start_seconds"] < 10


async def test_threads_of_a_lifespan_are_not_load(tmp_path):
    folder = app_file(tmp_path, seconds=1.5, start="await asyncio.to_thread(load_model)")
    async with serve(tmp_path, folder, app="slow:app") as pod:
        await pod.ready(1)
        await asyncio.sleep(0.3)
        stats = await pod.stats()
    assert stats["start_seconds"] > 1.5
    assert stats["threads"] == {}
    assert stats["loop_seconds"] < 0.4


async def test_an_import_in_the_worker_is_not_load(tmp_path):
    folder = app_file(tmp_path, seconds=1.5, imported="load_model()")
    async with serve(tmp_path, folder, "--preload=off", app="slow:app") as pod:
        await pod.ready(1)
        await asyncio.sleep(0.3)
        stats = await pod.stats()
    assert stats["start_seconds"] > 1.5
    assert stats["cpu_seconds"] < 0.4
    assert stats["worker_seconds"] < 1.5


async def test_a_lifespan_that_blocks_at_its_end_is_not_load(tmp_path):
    folder = app_file(tmp_path, stop="load_model()")
    async with serve(tmp_path, folder, "--workers=2", "--blocked-after=0.5", app="slow:app") as pod:
        await pod.ready(2)
        before = await pod.stats()
        await pod.resize(1)
        readings = []

        async def ended():
            readings.append(await pod.stats())
            return readings[-1]["workers"]["draining"] == 0

        await until(ended)
        status, text = await pod.get("/metrics")
    assert readings[-1]["uptime"] - before["uptime"] > 2.5
    for stats in readings:
        assert stats["loop_seconds"] - before["loop_seconds"] < 0.5
        assert stats["blocked_at"] == ""
    passed = readings[-1]["uptime"] - before["uptime"]
    served = readings[-1]["worker_seconds"] - before["worker_seconds"]
    assert served < 1.5 * passed, "the departing worker does not serve while it shuts down"
    assert status == 200
    assert "aiapi_loop_blocks_total 0.0" in text
