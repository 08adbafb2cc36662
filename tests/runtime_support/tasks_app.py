"""An app with tasks that outlive their request, and with one that never ends."""

import asyncio
import os
from pathlib import Path
from urllib.parse import parse_qs

_tasks = set()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await _run_lifespan(receive, send)
        return
    query = parse_qs(scope["query_string"].decode())
    if scope["path"] == "/later":
        _keep(asyncio.create_task(_write_later(float(query["s"][0]), query["file"][0])))
    body = str(os.getpid()).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _run_lifespan(receive, send):
    await receive()
    _keep(asyncio.create_task(_poll_for_ever()))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _keep(task):
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _write_later(seconds, file):
    await asyncio.sleep(seconds)
    Path(file).write_text("written")  # noqa: ASYNC240 - a few bytes


async def _poll_for_ever():
    await asyncio.Event().wait()
