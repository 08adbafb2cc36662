"""Callers who go away take their work with them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request, Response
from starlette.types import Receive

CLIENT_CLOSED_REQUEST = 499


class ClientDisconnectedError(Exception):
    """Nobody is there to read an answer."""


@asynccontextmanager
async def cancel_on_disconnect(receive: Receive) -> AsyncIterator[None]:
    """The body of this is cancelled when the caller goes away, and CallerGoneError comes of it.

    The request's own body must have been read before.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - ASGI apps run in tasks
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise ClientDisconnectedError from None
    finally:
        watcher.cancel()


async def run_until_disconnect(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Do the work, unless the caller goes away first."""
    try:
        async with cancel_on_disconnect(request.receive):
            return await work
    except ClientDisconnectedError:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
