"""An assistant: builds a prompt, calls an LLM, returns its answer.

It is an ordinary FastAPI app without any dependency on the operator. The LLM is any server with
``POST /v1/chat/completions``; ``LLM_URL`` is its base URL.

``ASSISTANT_LOOP_MS`` simulates CPU work: a real assistant tokenises, renders templates and ranks
passages, which blocks its event loop. Here a sleep blocks the loop for the same time without using
the CPU, so that several busy workers fit on a laptop with two cores.
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, HTTPException, Request
from httpx_aiohttp import HttpxAiohttpClient
from pydantic import BaseModel, Field

LLM_URL = os.environ.get("LLM_URL", "http://127.0.0.1:18800")
LOOP_SECONDS = float(os.environ.get("ASSISTANT_LOOP_MS", "8")) / 1000


class Question(BaseModel):
    """A question."""

    question: str = Field(min_length=1, max_length=4000)


class Answer(BaseModel):
    """The answer of the LLM."""

    answer: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Create one pooled client per worker: a client per request would cost 25 ms."""
    async with HttpxAiohttpClient(
        base_url=LLM_URL,
        timeout=httpx.Timeout(30, connect=5, pool=5),
        limits=httpx.Limits(max_connections=1000, keepalive_expiry=10),
        trust_env=False,
    ) as llm:
        app.state.llm = llm
        yield


app = FastAPI(title="Assistant", lifespan=lifespan)


def assemble_prompt(question: str) -> list[dict[str, str]]:
    """Block the event loop as long as tokenising and templating would."""
    time.sleep(LOOP_SECONDS)
    return [
        {"role": "system", "content": "Answer in one sentence."},
        {"role": "user", "content": question},
    ]


@app.post("/v1/answer")
async def answer(question: Question, request: Request) -> Answer:
    """Answer one question; 502 when the LLM fails."""
    llm: httpx.AsyncClient = request.app.state.llm
    prompt = {"model": "assistant", "messages": assemble_prompt(question.question)}
    try:
        reply = await llm.post("/v1/chat/completions", json=prompt)
        reply.raise_for_status()
    except httpx.HTTPError as error:
        raise HTTPException(502, f"the LLM at {LLM_URL} failed: {error!r}") from error
    return Answer(answer=reply.json()["choices"][0]["message"]["content"])
