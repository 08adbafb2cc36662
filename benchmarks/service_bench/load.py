"""A load generator for HTTP servers, in a separate process.

    --rate R    open loop: requests start at Poisson times, independent of responses
    --users N   each user has one request at a time and pauses for --pause after each response
    --closed N  closed loop with N connections, to measure the maximum rate of a server
    --burst N   N requests at once, --rounds times, each round after the last one has ended

Latency counts from the scheduled time of a request, so it includes waiting for a connection or for
this process (no coordinated omission). Prints one JSON object. `late_p95` is the lag of the
generator itself: when it is not small, the latencies are those of the generator.
"""

import argparse
import asyncio
import json
import random
import resource
from collections import Counter, deque
from time import perf_counter

import uvloop


class Connection(asyncio.Protocol):
    """HTTP/1.1, one request at a time; bodies with a length, chunked or up to the end."""

    def __init__(self) -> None:
        self.closed = False
        self.answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def send(self, request: bytes) -> "asyncio.Future[int]":
        self.buffer = b""
        self.status = 0
        self.left: int | None = None
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        if self.answer is None or self.answer.done():
            return
        if not self.status:
            self.buffer += data
            head, found, data = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._read(head.lower())
        if self.left is None:
            self.buffer = self.buffer[-8:] + data
            if self.buffer.endswith(b"0\r\n\r\n"):
                self.answer.set_result(self.status)
            return
        self.left -= len(data)
        if self.left <= 0:
            self.answer.set_result(self.status)

    def _read(self, head: bytes) -> None:
        self.status = int(head[9:12])
        self.buffer = b""
        self.closes = b"connection: close" in head
        _, found, rest = head.partition(b"content-length: ")
        if found:
            self.left = int(rest.split(b"\r\n", 1)[0])

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self.answer is not None and not self.answer.done():
            if self.status and self.left is None and error is None:
                self.answer.set_result(self.status)
            else:
                self.answer.set_exception(error or ConnectionError("closed"))


class Load:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        body = options.body.encode()
        lines = [f"{options.method} {options.path} HTTP/1.1", "host: bench", *options.header]
        if body:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        self.request = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        self.idle: deque[Connection] = deque()
        self.times: list[float] = []
        self.late: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.connections = 0
        self.open = 0

    async def request_at(self, due: float) -> None:
        connection: Connection | None = None
        self.open += 1
        try:
            async with asyncio.timeout(self.options.timeout):
                while self.idle and connection is None:
                    connection = self.idle.pop()
                    if connection.closed:
                        connection = None
                if connection is None:
                    self.connections += 1
                    _, connection = await asyncio.get_running_loop().create_connection(
                        Connection, self.options.host, self.options.port
                    )
                status = await connection.send(self.request)
        except (OSError, TimeoutError) as error:
            self._record(due, type(error).__name__)
            if connection is not None:
                connection.transport.abort()
            return
        finally:
            self.open -= 1
        self._record(due, str(status))
        if connection.closes:
            connection.transport.close()
        else:
            self.idle.append(connection)

    def _record(self, due: float, what: str) -> None:
        if due >= self.counts_from:
            self.statuses[what] += 1
            if what == "200":
                self.times.append(perf_counter() - due)

    async def open_loop(self) -> None:
        arrivals = random.Random(self.options.seed)
        due = perf_counter()
        tasks = set()
        while due < self.ends_at:
            while due <= perf_counter():
                task = asyncio.create_task(self.request_at(due))
                self.late.append(perf_counter() - due)
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                due += arrivals.expovariate(self.options.rate)
            await asyncio.sleep(max(0.0, min(due - perf_counter(), 0.01)))
        if tasks:
            await asyncio.wait(tasks)

    async def user(self, pause: float) -> None:
        due = perf_counter() + random.random() * pause
        while due < self.ends_at:
            await asyncio.sleep(max(0.0, due - perf_counter()))
            await self.request_at(due)
            due = perf_counter() + pause

    async def bursts(self) -> None:
        self.counts_from = float("inf")
        for number in range(self.options.rounds + 1):
            due = perf_counter()
            if number == 1:
                # The first round only opens the connections.
                self.counts_from = due
            await asyncio.gather(*(self.request_at(due) for _ in range(self.options.burst)))

    async def run(self) -> dict[str, object]:
        options = self.options
        began = perf_counter()
        self.counts_from = began + options.warm
        self.ends_at = self.counts_from + options.seconds
        if options.burst:
            await self.bursts()
        elif options.rate:
            await self.open_loop()
        else:
            pause = options.pause if options.users else 0.0
            users = options.users or options.closed
            await asyncio.gather(*(self.user(pause) for _ in range(users)))
        ordered = sorted(self.times) or [0.0]
        late = sorted(self.late) or [0.0]
        used = resource.getrusage(resource.RUSAGE_SELF)

        def at(share: float) -> float:
            return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 5)

        return {
            "answered": len(self.times),
            "rps": round(len(self.times) / options.seconds, 1),
            "statuses": dict(self.statuses),
            "errors": sum(n for what, n in self.statuses.items() if not what.isdigit()),
            "p50": at(0.5),
            "p95": at(0.95),
            "p99": at(0.99),
            "slowest": round(ordered[-1], 5),
            "connections": self.connections,
            "lasted": round(perf_counter() - began, 3),
            "late_p95": round(late[int(len(late) * 0.95)], 5),
            "generator_busy": round(
                (used.ru_utime + used.ru_stime) / max(perf_counter() - began, 1e-9), 2
            ),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--method", default="GET")
    parser.add_argument("--path", default="/")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--body", default="")
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--users", type=int, default=0)
    parser.add_argument("--closed", type=int, default=0)
    parser.add_argument("--burst", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("--pause", type=float, default=1.0)
    parser.add_argument("--warm", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    print(json.dumps(uvloop.run(Load(parser.parse_args()).run())))


if __name__ == "__main__":
    main()
