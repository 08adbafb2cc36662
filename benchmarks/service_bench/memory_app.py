"""Prints the memory of a FastAPI request in progress without a server, in bytes."""

import asyncio
import gc
import os
from pathlib import Path
from typing import Any

from chain_app import app

COUNT = 4000


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def scope() -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/wait",
        "query_string": b"s=600",
        "headers": [(b"host", b"b")],
    }


async def forever() -> None:
    await asyncio.sleep(600)


async def discard(_: Any) -> None:
    """Discard messages."""


async def main() -> None:
    # The first requests allocate shared memory.
    tasks = [asyncio.create_task(app(scope(), forever, discard)) for _ in range(200)]
    await asyncio.sleep(1)
    gc.collect()
    before = resident()
    tasks += [asyncio.create_task(app(scope(), forever, discard)) for _ in range(COUNT)]
    await asyncio.sleep(6)
    gc.collect()
    print(round((resident() - before) / COUNT), flush=True)
    os._exit(0)


asyncio.run(main())
