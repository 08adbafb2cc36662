"""A fake LLM: waits like a real one, then returns a fixed sentence.

The demo and the tests use it as an upstream with a known latency, which can be changed at
runtime: ``PUT /latency {"seconds": 0.75}``. The latency is distributed uniformly around
``seconds``, within the fraction ``jitter``.
"""

import asyncio
import os
import random
import time
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

SENTENCE = "This is a fake LLM with a fixed response."


class Latency(BaseModel):
    """The latency of responses."""

    seconds: float = Field(default=0.25, ge=0, le=60)
    jitter: float = Field(default=0.2, ge=0, le=1)


app = FastAPI(title="Fake LLM")
app.state.latency = Latency(
    seconds=float(os.environ.get("LLM_LATENCY_SECONDS", "0.25")),
    jitter=float(os.environ.get("LLM_LATENCY_JITTER", "0.2")),
)


@app.get("/latency")
async def read_latency() -> Latency:
    """Get the current latency."""
    latency: Latency = app.state.latency
    return latency


@app.put("/latency")
async def change_latency(latency: Latency) -> Latency:
    """Set the latency of new requests. Requests in progress are not changed."""
    app.state.latency = latency
    return latency


@app.post("/v1/chat/completions")
async def complete(body: dict[str, Any]) -> dict[str, Any]:
    """Return a completion in the format of the OpenAI API, after the latency."""
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
