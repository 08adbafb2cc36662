"""The proxy process: reads Service tables from standard input, and reports what it applied.

Messages are one JSON object per line. The process exits when standard input closes, so it never
outlives the sandbox. It is separate so that traffic does not wait for the API server.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress

from aiapi_sandbox.proxy.connections import Address
from aiapi_sandbox.proxy.listeners import ListenerTable


def parse_table(line: bytes) -> tuple[int, dict[Address, list[Address]]]:
    """Return the number and the content of a table."""
    message = json.loads(line)
    table = {
        (host, port): [(to_host, to_port) for to_host, to_port in backends]
        for host, port, backends in message["listeners"]
    }
    return message["number"], table


async def serve() -> None:
    """Apply tables until standard input closes."""
    reader = asyncio.StreamReader(limit=16 * 1024 * 1024)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    table = ListenerTable()
    while line := await reader.readline():
        number, wanted = parse_table(line)
        await table.apply(wanted)
        answer = {"applied": number, "bound": table.bound(), "failures": table.failures()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Run on uvloop, if it is installed."""
    run = asyncio.run
    with suppress(ImportError):
        import uvloop  # noqa: PLC0415 - an optional speed-up

        run = uvloop.run
    with suppress(KeyboardInterrupt, BrokenPipeError):
        run(serve())
    os._exit(0)


if __name__ == "__main__":
    main()
