"""A stand-in for an LLM: waits as long as one would, and answers with a fixed sentence.

There is no model in it. It exists so that the demo and the tests have an upstream whose
latency is known and can be changed while it serves: ``PUT /latency {"seconds": 0.75}``.
The latency varies by ``jitter`` (a fraction) around ``seconds``, evenly spread.
"""

import asyncio
import os
import random
import time
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

SENTENCE = "This is a stand-in for an LLM; it waited and made nothing up."


class Latency(BaseModel):
    """How long an answer takes."""

    seconds: float = Field(default=0.25, ge=0, le=60)
    jitter: float = Field(default=0.2, ge=0, le=1)


app = FastAPI(title="Stand-in LLM")
app.state.latency = Latency(
    seconds=float(os.environ.get("LLM_LATENCY_SECONDS", "0.25")),
    jitter=float(os.environ.get("LLM_LATENCY_JITTER", "0.2")),
)


@app.get("/latency")
async def read_latency() -> Latency:
    """Say how long an answer takes now."""
    latency: Latency = app.state.latency
    return latency


@app.put("/latency")
async def change_latency(latency: Latency) -> Latency:
    """Change how long the answers to come take. Those under way are not touched."""
    app.state.latency = latency
    return latency


@app.post("/v1/chat/completions")
async def complete(body: dict[str, Any]) -> dict[str, Any]:
    """Answer in the shape of the OpenAI API, after the latency."""
    latency: Latency = app.state.latency
    spread = random.uniform(-latency.jitter, latency.jitter)  # noqa: S311 - not a secret
    await asyncio.sleep(latency.seconds * (1 + spread))
    return {
        "id": "chatcmpl-stand-in",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.get("model", "stand-in"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": SENTENCE},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
