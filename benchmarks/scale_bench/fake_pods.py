"""All pods of the benchmark in one process: they answer their admin ports in the real format.

The text is made by the runtime's own function. A pod's load is its share of the AIApi's, with
Poisson noise; a request takes a fixed loop time. Run by benchmarks/scale.py.
"""

import argparse
import asyncio
import json
import re
import ssl
import time
from collections import defaultdict
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import cast

import numpy as np
import uvloop
from scale_bench.board import Board, Shape, pod_at

from aiapi_runtime.telemetry.layout import BOUNDS, BUCKETS, NUMBERS, Cell
from aiapi_runtime.telemetry.start_times import StartTimes
from aiapi_runtime.telemetry.stats import PodSnapshot, WorkerCounts, as_json

PORT = 9000
SERVICE = 0.010
"""Loop seconds of a request."""
_LATENCY = 0.080
_MEMORY = 150 * 2**20
_WAIT = re.compile(rb"&wait=(\d+)&requests=(\d+) ")
_EVERY = 0.25
"""Seconds between two looks at the load while answers are held back, as in a pod."""

_rng = np.random.default_rng(1)


class FakePod:
    """One pod's counters, moved on at each scrape."""

    def __init__(self, number: int, board: Board, aiapi: int) -> None:
        self._number = number
        self._board = board
        self._aiapi = aiapi
        self._total = [0.0] * NUMBERS
        self._started = self._time = time.monotonic()

    @property
    def workers(self) -> int:
        return int(self._board.workers[self._number]) or 1

    def set_workers(self, count: int) -> None:
        if count != self.workers:
            self._advance(time.monotonic())
            self._board.workers[self._number] = count
            now = time.monotonic()
            self._board.set_at[self._number] = now

    def note_scrape(self) -> None:
        self._board.scrapes[self._number] += 1
        self._board.scraped[self._number] = time.monotonic()

    def requests(self) -> int:
        self._advance(time.monotonic())
        return int(self._total[Cell.SUCCESS])

    def stats(self, *, short: bool) -> bytes:
        now = time.monotonic()
        self._advance(now)
        stats = as_json(self._snapshot(now), short=short)
        return json.dumps(stats, separators=(",", ":")).encode()

    def _advance(self, now: float) -> None:
        seconds, self._time = now - self._time, now
        replicas = max(1.0, self._board.replicas[self._aiapi])
        requests = float(_rng.poisson(self._board.rate[self._aiapi] / replicas * seconds))
        total, work = self._total, requests * SERVICE
        total[Cell.SUCCESS] += requests
        total[Cell.IN_FLIGHT_SECONDS] += requests * _LATENCY
        total[Cell.LOOP_SECONDS] += work
        total[Cell.LOOP_CPU_SECONDS] += work
        total[Cell.CPU_SECONDS] += work
        total[Cell.WORKER_SECONDS] += seconds * self.workers
        total[Cell.UPSTREAM_SECONDS] += requests * (_LATENCY - SERVICE)
        for start, amount in ((Cell.LATENCY, requests), (Cell.TTFB, requests)):
            total[start + _bucket(_LATENCY)] += amount
        total[Cell.LATENCY_SUM] += requests * _LATENCY
        total[Cell.TTFB_SUM] += requests * _LATENCY
        total[Cell.LAG + _bucket(0.001)] += 10 * seconds
        total[Cell.LAG_SUM] += 0.01 * seconds

    def _snapshot(self, now: float) -> PodSnapshot:
        count = self.workers
        return PodSnapshot(
            instance=f"{self._number}-{self._started:.3f}",
            uptime=now - self._started,
            ready=True,
            workers=WorkerCounts(
                wanted=count, starting=0, ready=count, draining=0, failed=0, blocked=0
            ),
            blocked_at="",
            failure="",
            total=self._total,
            rss_bytes=_MEMORY * count,
            accept_depth=0,
            accept_limit=2048,
            worker_limit=0,
            starts=StartTimes(),
            waits_known=True,
            runtime={"version": "0.1.0", "source": "Image", "python": "3.11.7"},
            loop="uvloop",
            http="httptools",
        )


def _bucket(seconds: float) -> int:
    return next((at for at, bound in enumerate(BOUNDS) if seconds <= bound), BUCKETS - 1)


class Held:
    """The answers that pods hold back until their AIApi has load, or their time is over."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._ports: dict[int, set[AdminPort]] = defaultdict(set)
        self._ends: list[tuple[float, int, AdminPort]] = []
        self._number = count()

    def add(self, port: "AdminPort", seconds: float) -> None:
        self._ports[port.aiapi].add(port)
        heappush(self._ends, (time.monotonic() + seconds, next(self._number), port))

    def drop(self, port: "AdminPort") -> None:
        self._ports[port.aiapi].discard(port)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            loaded = [aiapi for aiapi in self._ports if self._board.rate[aiapi] > 0]
            for port in [port for aiapi in loaded for port in self._ports[aiapi]]:
                self._answer(port)
            while self._ends and self._ends[0][0] <= time.monotonic():
                self._answer(heappop(self._ends)[2])

    def _answer(self, port: "AdminPort") -> None:
        if port in self._ports[port.aiapi]:
            self.drop(port)
            port.answer_stats()


class AdminPort(asyncio.Protocol):
    """Answers ``GET /stats`` and ``PUT /workers`` on a kept connection."""

    def __init__(self, pods: dict[int, FakePod], board: Board, shape: Shape, held: Held) -> None:
        self._pods, self._board, self._shape, self._held = pods, board, shape, held
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        number = pod_at(transport.get_extra_info("sockname")[0])
        self.aiapi = min(number // self._shape.block, self._shape.aiapis - 1)
        if number not in self._pods:
            self._pods[number] = FakePod(number, self._board, self.aiapi)
        self._pod = self._pods[number]

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._held.drop(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _length(head)
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        wait = _WAIT.search(head)
        if wait is not None and self._pod.requests() == int(wait[2]):
            self._held.add(self, int(wait[1]))
        elif head.startswith(b"GET /stats"):
            if wait is None:
                self._pod.note_scrape()
            self.answer_stats(short=b"?histograms=short" in head)
        else:
            self._pod.set_workers(int(json.loads(body)["count"]))
            self._send(b"{}")

    def answer_stats(self, *, short: bool = True) -> None:
        self._send(self._pod.stats(short=short))

    def _send(self, content: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(content), content)
        )


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def serve(board: Board, shape: Shape, context: ssl.SSLContext | None) -> None:
    """Answer for all pods until cancelled."""
    pods: dict[int, FakePod] = {}
    held = Held(board)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: AdminPort(pods, board, shape, held),
        "0.0.0.0",
        PORT,
        backlog=4096,
        ssl=context,
    )
    await asyncio.gather(server.serve_forever(), held.run())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("board", type=Path)
    parser.add_argument("aiapis", type=int)
    parser.add_argument("block", type=int)
    parser.add_argument("--certificate", type=Path, help="PEM file with its key: serve TLS")
    given = parser.parse_args()
    shape = Shape(given.aiapis, given.block)
    context = None
    if given.certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(given.certificate)
    uvloop.run(serve(Board(given.board, shape), shape, context))


if __name__ == "__main__":
    main()
