"""The support desk assistant of flask_desk.py, migrated to async: same routes, same responses.

    aiapi-serve async_desk:app

Independent calls run concurrently, and waiting takes no threads.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from fastapi import FastAPI
from pydantic import BaseModel

UPSTREAM = os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8100")
DESK = os.environ.get("DESK_URL", UPSTREAM)
TIMEOUT = aiohttp.ClientTimeout(total=10)
MODELS = ("small", "large", "careful")


class Question(BaseModel):
    question: str


class State:
    """One session per worker, which reuses connections."""

    session: aiohttp.ClientSession


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    # The default of 100 connections allows at most 333 calls a second at 300 ms each.
    connector = aiohttp.TCPConnector(limit=5000)
    async with aiohttp.ClientSession(
        connector=connector, timeout=TIMEOUT, raise_for_status=True
    ) as State.session:
        yield


app = FastAPI(lifespan=lifespan)


async def complete(prompt: str, model: str = "small") -> str:
    body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    async with State.session.post(f"{UPSTREAM}/v1/chat/completions", json=body) as response:
        text: str = (await response.json())["choices"][0]["message"]["content"]
    return text


async def desk(path: str) -> dict[str, Any]:
    async with State.session.get(f"{DESK}{path}") as response:
        result: dict[str, Any] = await response.json()
    return result


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/answer")
async def answer(body: Question) -> dict[str, str]:
    return {"answer": await complete(body.question)}


@app.post("/compare")
async def compare(body: Question) -> dict[str, dict[str, str]]:
    answers = await asyncio.gather(*(complete(body.question, model) for model in MODELS))
    return {"answers": dict(zip(MODELS, answers, strict=True))}


@app.get("/tickets/{number}")
async def ticket(number: int) -> dict[str, Any]:
    found, customer = await asyncio.gather(desk(f"/tickets/{number}"), desk(f"/customers/{number}"))
    return {"ticket": found, "customer": customer}


@app.post("/tickets/{number}/triage")
async def triage(number: int) -> dict[str, str]:
    found = await desk(f"/tickets/{number}")
    urgency, topic = await asyncio.gather(
        complete(f"How urgent is this? {found}"), complete(f"What is this about? {found}")
    )
    return {"reply": await complete(f"Answer a ticket about {topic}, urgency {urgency}: {found}")}
