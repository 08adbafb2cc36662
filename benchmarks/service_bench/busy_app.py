"""A typical AI API endpoint: some CPU work around a wait."""

import asyncio
import time

from fastapi import FastAPI

app = FastAPI()


def work(seconds: float) -> None:
    """Use the event loop, like parsing and templating do."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@app.get("/")
async def answer() -> dict[str, str]:
    work(0.0015)
    await asyncio.sleep(0.06)
    work(0.0015)
    return {"answer": "yes"}


@app.get("/work")
async def only_work() -> dict[str, str]:
    work(0.005)
    return {"answer": "yes"}


@app.get("/busy/{work_ms}/{wait_ms}")
async def other_times(work_ms: float, wait_ms: float) -> dict[str, str]:
    work(work_ms / 2000)
    await asyncio.sleep(wait_ms / 1000)
    work(work_ms / 2000)
    return {"answer": "yes"}
