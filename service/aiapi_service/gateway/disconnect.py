"""Cancels the work of a request when its client disconnects."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request, Response
from starlette.types import Receive

CLIENT_CLOSED_REQUEST = 499


class CallerDisconnectedError(Exception):
    """The client disconnected before the response."""


@asynccontextmanager
async def cancel_on_disconnect(receive: Receive) -> AsyncIterator[None]:
    """Cancel the block when the client disconnects, and raise CallerDisconnectedError.

    The request body must have been read before.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - ASGI apps run in tasks
    disconnected = False

    async def watch() -> None:
        nonlocal disconnected
        while (await receive())["type"] != "http.disconnect":
            pass
        disconnected = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not disconnected:
            raise
        task.uncancel()
        raise CallerDisconnectedError from None
    finally:
        watcher.cancel()


async def run_until_disconnect(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Run the work. Returns status 499 when the client disconnects first."""
    try:
        async with cancel_on_disconnect(request.receive):
            return await work
    except CallerDisconnectedError:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
