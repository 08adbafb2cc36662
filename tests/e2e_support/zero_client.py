"""Sends requests by a timetable, in a pod, and prints one line of JSON for each.

``SPEC`` in the environment: ``url``; ``calls``, each with ``at`` (seconds after the start),
``count`` and ``path``; ``keep_alive``; ``timeout``. A path that begins with ``ws:`` opens a
WebSocket, and closes it after ``seconds``. Nothing is repeated, except what any keep-alive client
repeats: a request on a connection that the other side had closed.
"""

import asyncio
import json
import os
import time
from typing import Any

import aiohttp

SPEC = json.loads(os.environ["SPEC"])


def write(**line: Any) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201 - the test reads the log


async def get(session: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with session.get(SPEC["url"] + path) as response:
        text = await response.text()
        wait = response.headers.get("Retry-After", "")
        return {"status": response.status, "body": text[:200], "retry_after": wait}


async def stay(session: aiohttp.ClientSession, seconds: float) -> dict[str, Any]:
    async with session.ws_connect(SPEC["url"] + "/ws") as socket:
        write(event="connected")
        received = asyncio.create_task(socket.receive())  # pings are answered meanwhile
        await asyncio.wait({received}, timeout=seconds)
        await socket.send_str("hello")
        answer = await asyncio.wait_for(received, 10)
        return {"status": 200 if answer.data == "hello" else 0, "body": str(answer.data)}


async def call(session: aiohttp.ClientSession, path: str, seconds: float) -> None:
    started = time.monotonic()
    try:
        one = stay(session, seconds) if path == "ws" else get(session, path)
        found = await one
    except (OSError, aiohttp.ClientError) as error:
        found = {"status": 0, "body": repr(error)}
    write(event="result", at=started, seconds=time.monotonic() - started, **found)


async def main() -> None:
    keep_alive = SPEC.get("keep_alive", False)
    connector = aiohttp.TCPConnector(limit=0, force_close=not keep_alive)
    timeout = aiohttp.ClientTimeout(total=SPEC.get("timeout", 120))
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        session._retry_connection = keep_alive  # aiohttp would send a lost GET again
        start, tasks = time.monotonic(), []
        write(event="start")
        for each in sorted(SPEC["calls"], key=lambda one: float(one["at"])):
            await asyncio.sleep(max(0.0, start + each["at"] - time.monotonic()))
            path, seconds = each.get("path", "/"), each.get("seconds", 0.0)
            for _ in range(each.get("count", 1)):
                task = asyncio.create_task(call(session, path, seconds))
                tasks.append(task)
        await asyncio.gather(*tasks)
    write(event="end")


asyncio.run(main())
