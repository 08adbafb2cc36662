"""The app of an image that nobody prepared: FastAPI, and nothing of this project."""

import asyncio
import os
import sys
import time
from typing import Any

import fastapi
import uvicorn

app = fastapi.FastAPI()


@app.get("/about")
def about() -> dict[str, Any]:
    """What the app sees of its environment."""
    return {
        "fastapi": fastapi.__version__,
        "uvicorn": uvicorn.__version__,
        "prefix": sys.prefix,
        "python_path": os.environ.get("PYTHONPATH"),
    }


@app.post("/v1/answer")
async def answer() -> dict[str, str]:
    """Block the loop for 15 ms, as CPU work would, and wait for 50 ms."""
    time.sleep(0.015)  # noqa: ASYNC251 - work of the event loop
    await asyncio.sleep(0.05)
    return {"answer": "In stock."}


@app.post("/block")
async def block() -> None:
    """Hold the event loop."""
    time.sleep(3)  # noqa: ASYNC251 - the mistake to report
