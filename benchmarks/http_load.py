"""A closed-loop HTTP/1.1 load generator that never retries a request. Runs as a separate process.

Some clients keep their connection until the server announces its close; others open one per
request. Anything but a complete response with status 200 counts as a lost request.
"""

import argparse
import asyncio
import json
from collections import Counter
from time import perf_counter

import uvloop


class Client(asyncio.Protocol):
    """One connection; `answer` is a future for the pending response."""

    def __init__(self) -> None:
        self.buffer = b""
        self.gone = False
        self.answer: asyncio.Future[tuple[bytes, bool]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or self.answer is None or self.answer.done():
            return
        lower = head.lower()
        start = lower.index(b"content-length: ") + 16
        if len(body) < int(lower[start:].split(b"\r\n", 1)[0]):
            return
        self.buffer = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self.answer.set_exception(ConnectionError(head.split(b"\r\n")[0].decode()))
            return
        self.answer.set_result((body, b"connection: close" in lower))

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        if self.answer is not None and not self.answer.done():
            reason = "reset" if error else "closed before the answer"
            self.answer.set_exception(ConnectionError(reason))


class Run:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.left = options.requests
        self.lost: Counter[str] = Counter()
        self.pids: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.connections = 0
        self.closed_idle = 0

    async def client(self, keep: bool) -> None:
        loop = asyncio.get_running_loop()
        request = b"GET / HTTP/1.1\r\nhost: bench\r\n%s\r\n" % (
            b"" if keep else b"connection: close\r\n"
        )
        connection: Client | None = None
        while self.left > 0 and perf_counter() < self.deadline:
            self.left -= 1
            began = perf_counter()
            try:
                if connection is not None and connection.gone:
                    # Closed between two requests: the client notices, and no request is lost.
                    self.closed_idle += 1
                    connection = None
                if connection is None:
                    self.connections += 1
                    _, connection = await asyncio.wait_for(
                        loop.create_connection(Client, self.options.host, self.options.port), 15
                    )
                connection.answer = loop.create_future()
                if connection.gone:
                    connection.answer.set_exception(ConnectionError("closed when accepted"))
                else:
                    connection.transport.write(request)
                async with asyncio.timeout(15):
                    body, closes = await connection.answer
            except (OSError, TimeoutError) as error:
                self.lost[str(error) or type(error).__name__] += 1
                if connection is not None:
                    connection.transport.abort()
                connection = None
                continue
            self.latencies.append(perf_counter() - began)
            self.pids[body.decode()] += 1
            if closes or not keep:
                connection.transport.close()
                connection = None
        if connection is not None:
            connection.transport.close()

    async def run(self) -> dict[str, object]:
        began = perf_counter()
        self.deadline = began + self.options.seconds
        kinds = [True] * self.options.keeping + [False] * self.options.opening
        await asyncio.gather(*(self.client(keep) for keep in kinds))
        ordered = sorted(self.latencies) or [0.0]
        return {
            "answered": len(self.latencies),
            "lost": sum(self.lost.values()),
            "reasons": dict(self.lost),
            "connections": self.connections,
            "closed_idle": self.closed_idle,
            "seconds": perf_counter() - began,
            "p50_s": ordered[len(ordered) // 2],
            "p99_s": ordered[int(len(ordered) * 0.99)],
            "pids": dict(self.pids),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--keeping", type=int, default=32)
    parser.add_argument("--opening", type=int, default=0)
    print(json.dumps(uvloop.run(Run(parser.parse_args()).run())))


if __name__ == "__main__":
    main()
