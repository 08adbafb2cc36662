"""Waits for `s` seconds, in bare ASGI, to measure the memory of the server only."""

import asyncio
from typing import Any
from urllib.parse import parse_qs

HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"2"), (b"content-type", b"application/json")],
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await asyncio.sleep(float(parse_qs(scope["query_string"].decode()).get("s", ["0"])[0]))
    await send(HEAD)
    await send({"type": "http.response.body", "body": b"{}"})
