"""An assistant: assembles a prompt, asks an LLM, returns its answer.

It is an ordinary FastAPI app and knows nothing of the operator. The LLM is any server that
answers ``POST /v1/chat/completions``; ``LLM_URL`` says where.

``ASSISTANT_LOOP_MS`` is a stand-in: a real assistant tokenises, renders templates and ranks
passages, and holds its event loop while it does so. Here a pause holds the loop for the same
time without using the CPU, so that several busy workers fit on a laptop with two cores.
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
    """What a caller asks."""

    question: str = Field(min_length=1, max_length=4000)


class Answer(BaseModel):
    """What the LLM said."""

    answer: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep one pooled client for the life of the worker: a client a request costs 25 ms."""
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
    """Hold the event loop as long as tokenising and templating would."""
    time.sleep(LOOP_SECONDS)
    return [
        {"role": "system", "content": "Answer in one sentence."},
        {"role": "user", "content": question},
    ]


@app.post("/v1/answer")
async def answer(question: Question, request: Request) -> Answer:
    """Answer one question, or say that the LLM could not."""
    llm: httpx.AsyncClient = request.app.state.llm
    prompt = {"model": "assistant", "messages": assemble_prompt(question.question)}
    try:
        reply = await llm.post("/v1/chat/completions", json=prompt)
        reply.raise_for_status()
    except httpx.HTTPError as error:
        raise HTTPException(502, f"the LLM at {LLM_URL} did not answer: {error!r}") from error
    return Answer(answer=reply.json()["choices"][0]["message"]["content"])
