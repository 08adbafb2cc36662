"""Threads that requests wait for, as the pod reports them."""

from pathlib import Path

from runtime_support.pod import serve, until

APP = """
import asyncio, threading, time
from fastapi import FastAPI
app = FastAPI()
gate = threading.Event()

@app.get("/async")
async def nothing():
    return {}

@app.get("/open")
async def opens():
    gate.set()

@app.get("/thread")
def waits():
    gate.wait(60)

@app.get("/to-thread")
async def sleeps_elsewhere(s: float):
    await asyncio.to_thread(time.sleep, s)
"""


async def test_calls_waiting_for_a_thread_are_reported(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="shop:app") as pod:
        await pod.ready(1)
        calm = await pod.connect()
        assert (await calm.ask("/async")).status == 200
        assert (await pod.stats())["threads"] == {}, "no thread was used"
        full = [await pod.connect() for _ in range(50)]
        for each in full:
            each.write("/thread")

        async def all_busy() -> bool:
            pool = (await pod.stats())["threads"].get("anyio")
            # Long enough that the start and end of the requests matter little.
            return pool is not None and pool["waiting"] == 10 and pool["busy_seconds"] > 40

        await until(all_busy)
        pool = (await pod.stats())["threads"]["anyio"]
        assert (pool["limit"], pool["busy"], pool["waiting"]) == (40, 40, 10)
        assert (await calm.ask("/open")).status == 200
        for each in full:
            assert (await each.read()).status == 200

        async def all_done() -> dict[str, float] | None:
            pool = (await pod.stats())["threads"]["anyio"]
            return pool if pool["busy"] == 0 else None

        pool = await until(all_done)
        assert pool["waiting"] == 0
        assert 0.1 < pool["waiting_seconds"] / pool["busy_seconds"] < 0.3, "10 waited for 40"
        assert (await calm.ask("/to-thread?s=0.2")).status == 200

        async def reported() -> dict[str, float] | None:
            pool = (await pod.stats())["threads"].get("asyncio")
            return pool if pool and pool["busy"] == 0 else None

        other = await until(reported)
        assert other["limit"] >= 5
        assert 0.2 <= other["busy_seconds"] < 2
        _, text = await pod.get("/metrics")
        assert 'aiapi_threads_limit{pool="anyio"} 40.0' in text
        assert 'aiapi_threads{pool="anyio",state="waiting"} 0.0' in text
        assert 'aiapi_threads_busy_seconds_total{pool="asyncio"}' in text
