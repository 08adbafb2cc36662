"""Apps for the runtime's benchmark: a FastAPI one, as people have, and a raw one, as nobody has."""

import os
import time
from typing import Any

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

api = FastAPI()


@api.get("/")
async def pid() -> PlainTextResponse:
    return PlainTextResponse(str(os.getpid()))


@api.get("/busy")
async def busy() -> PlainTextResponse:
    time.sleep(0.005)  # noqa: ASYNC251 - a busy loop is the purpose
    return PlainTextResponse(str(os.getpid()))


async def raw(scope: Any, _receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = str(os.getpid()).encode()
    head = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
