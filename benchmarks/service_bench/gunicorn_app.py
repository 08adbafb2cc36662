"""Returns the pid of the worker. Bare ASGI, since gunicorn's environment has no FastAPI."""

import os
import time
from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/busy":
        time.sleep(0.005)  # noqa: ASYNC251 - a busy loop is the purpose
    body = str(os.getpid()).encode()
    head = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
