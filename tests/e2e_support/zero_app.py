"""The app of the zero scenarios: starts as slowly as asked, and answers at once or later."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

time.sleep(float(os.environ.get("IMPORT_SECONDS", "0")))


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    kinds = {"lifespan": _lifespan, "websocket": _websocket, "http": _http}
    await kinds[scope["type"]](scope, receive, send)


async def _lifespan(_scope: dict[str, Any], receive: Receive, send: Send) -> None:
    for kind in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{kind}.complete"})


async def _http(scope: dict[str, Any], _receive: Receive, send: Send) -> None:
    """``?seconds=2`` answers after two seconds."""
    query = parse_qs(scope["query_string"].decode())
    await asyncio.sleep(float(query.get("seconds", ["0"])[0]))
    length = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": b"ok"})


async def _websocket(_scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Echoes texts."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
