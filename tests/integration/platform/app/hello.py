"""An app that waits a little and works a little, as AI APIs do."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from aiapi_runtime.telemetry import upstream

Message = MutableMapping[str, Any]


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    with upstream():
        await asyncio.sleep(0.02)
    await asyncio.to_thread(sum, range(1_000))  # and a thread for a moment
    sum(range(50_000))  # a millisecond or two of the loop
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
