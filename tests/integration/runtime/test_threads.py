"""Threads that requests wait for, as the pod tells them."""

from pathlib import Path

from runtime_support.pod import serve, until

APP = """
import asyncio, time
from fastapi import FastAPI
app = FastAPI()

@app.get("/async")
async def nothing():
    return {}

@app.get("/thread")
def sleeps(s: float):
    time.sleep(s)

@app.get("/to-thread")
async def sleeps_elsewhere(s: float):
    await asyncio.to_thread(time.sleep, s)
"""


async def test_requests_that_wait_for_a_thread_are_told(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    async with serve(tmp_path, f"--app-dir={tmp_path}", app="shop:app") as pod:
        await pod.ready(1)
        calm = await pod.connect()
        assert (await calm.ask("/async")).status == 200
        assert (await pod.stats())["threads"] == {}, "no thread was used"
        full = [await pod.connect() for _ in range(50)]
        for each in full:
            each.write("/thread?s=0.7")

        async def all_busy() -> bool:
            pool = (await pod.stats())["threads"].get("anyio", {})
            return [pool.get(name) for name in ("limit", "busy", "waiting")] == [40, 40, 10]

        await until(all_busy)
        for each in full:
            assert (await each.read()).status == 200

        async def all_done() -> dict[str, float] | None:
            pool = (await pod.stats())["threads"]["anyio"]
            return pool if pool["busy"] == 0 else None

        pool = await until(all_done)
        assert 50 * 0.7 * 0.8 < pool["busy_seconds"] < 50 * 0.7 * 1.3
        assert 10 * 0.7 * 0.7 < pool["waiting_seconds"] < 10 * 0.7 * 1.4
        assert (await calm.ask("/to-thread?s=0.2")).status == 200

        async def told() -> dict[str, float] | None:
            pool = (await pod.stats())["threads"].get("asyncio")
            return pool if pool and pool["busy"] == 0 else None

        other = await until(told)
        assert other["limit"] >= 5
        assert 0.2 <= other["busy_seconds"] < 2
        _, text = await pod.get("/metrics")
        assert 'aiapi_threads_limit{pool="anyio"} 40.0' in text
        assert 'aiapi_threads{pool="anyio",state="waiting"} 0.0' in text
        assert 'aiapi_threads_busy_seconds_total{pool="asyncio"}' in text
