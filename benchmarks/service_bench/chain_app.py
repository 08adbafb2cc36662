"""Concurrent and sequential calls and steps in FastAPI with aiohttp, and a plain wait."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from fastapi import FastAPI

UPSTREAM = os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8100")
DELAYS = [str(210 + 10 * number) for number in range(10)]
STEP = 0.08


class State:
    session: aiohttp.ClientSession


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as State.session:
        yield


app = FastAPI(lifespan=lifespan)


async def call(delay: str) -> int:
    async with State.session.post(UPSTREAM, headers={"x-delay-ms": delay}) as answer:
        return len(await answer.read())


@app.get("/")
async def root() -> dict[str, str]:
    return {}


@app.get("/wait")
async def wait(s: float) -> dict[str, float]:
    await asyncio.sleep(s)
    return {"waited": s}


@app.get("/calls")
async def calls() -> dict[str, Any]:
    return {"sizes": await asyncio.gather(*map(call, DELAYS))}


@app.get("/calls-sequential")
async def calls_sequential() -> dict[str, Any]:
    return {"sizes": [await call(delay) for delay in DELAYS]}


@app.get("/steps")
async def steps() -> dict[str, int]:
    await asyncio.gather(*(asyncio.sleep(STEP) for _ in range(4)))
    return {"steps": 4}


@app.get("/steps-sequential")
async def steps_sequential() -> dict[str, int]:
    for _ in range(4):
        await asyncio.sleep(STEP)
    return {"steps": 4}
