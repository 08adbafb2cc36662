"""The load generator: an open loop, in a separate process so that nothing else delays it.

    python -m aiapi_demo.load  <  script.json

Latency is measured from the time a request was due, so that coordinated omission cannot hide a
stall. Failed requests are not retried. Connections are kept alive, but each pool is replaced after
some seconds, so that new pods get load as they would from many clients.

It prints its progress as one JSON line per second, and writes every request to a file.
"""

import asyncio
import json
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import aiohttp

from aiapi_demo.latency import percentile
from aiapi_demo.records import RequestRecord, encode
from aiapi_demo.schedule import Phase, ScheduledRequest, schedule, starts

WINDOW_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadScript:
    """What to send, the URL, and the file for the records."""

    url: str
    body: dict[str, Any]
    phases: tuple[Phase, ...]
    records: str
    percent: float = 95.0
    seed: int = 1
    pools: int = 8
    connection_seconds: float = 8.0
    timeout_seconds: float = 10.0

    @classmethod
    def parse(cls, text: str) -> "LoadScript":
        """The script from its JSON form."""
        fields = json.loads(text)
        phases = tuple(Phase(**phase) for phase in fields.pop("phases"))
        return cls(phases=phases, **fields)

    def dump(self) -> str:
        """The JSON form that ``parse`` reads."""
        return json.dumps(asdict(self))


class ConnectionPool:
    """A pool of keep-alive connections. After ``retire`` it closes with its last request."""

    def __init__(self, *, now: float, timeout: float) -> None:
        self.created = now
        self._retired = False
        self._users = 0
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=timeout),
        )

    async def post(self, url: str, body: dict[str, Any]) -> int:
        """Send one request, read the whole response, and return its status."""
        self._users += 1
        try:
            async with self._session.post(url, json=body) as response:
                await response.read()
                return response.status
        finally:
            self._users -= 1
            await self._close_if_done()

    async def retire(self) -> None:
        """Close the pool when its open requests have finished."""
        self._retired = True
        await self._close_if_done()

    async def _close_if_done(self) -> None:
        if self._retired and self._users == 0:
            await self._session.close()


class ConnectionPools:
    """Pools used in turn, each replaced when it reaches the maximum age."""

    def __init__(self, *, count: int, seconds: float, timeout: float) -> None:
        now = time.monotonic()
        self._seconds = seconds
        self._timeout = timeout
        self._turn = 0
        self._pools = [
            ConnectionPool(now=now - seconds * index / count, timeout=timeout)
            for index in range(count)
        ]

    async def take(self) -> ConnectionPool:
        """The next pool, replaced by a new one if it is too old."""
        self._turn = (self._turn + 1) % len(self._pools)
        pool = self._pools[self._turn]
        now = time.monotonic()
        if now - pool.created > self._seconds:
            fresh = ConnectionPool(now=now, timeout=self._timeout)
            self._pools[self._turn] = fresh
            await pool.retire()
            return fresh
        return pool

    async def close(self) -> None:
        """Retire all pools."""
        for pool in self._pools:
            await pool.retire()


class RecentRequests:
    """The requests of the last few seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._records: deque[RequestRecord] = deque()

    def add(self, record: RequestRecord) -> None:
        """Add a finished request."""
        self._records.append(record)

    def stats(self, now: float, percent: float) -> dict[str, float | None]:
        """Served requests per second and the latency percentile."""
        while self._records and self._records[0].finished < now - self._seconds:
            self._records.popleft()
        served = sum(record.ok for record in self._records)
        return {
            "served_rps": served / min(self._seconds, max(now, 1e-9)),
            "latency": percentile((record.latency for record in self._records), percent),
        }


class LoadGenerator:
    """Sends the requests of a script, each when it is due."""

    def __init__(self, script: LoadScript, *, records: TextIO, progress: TextIO) -> None:
        self._script = script
        self._records = records
        self._progress = progress
        self._window = RecentRequests(WINDOW_SECONDS)
        self._sent = self._done = self._failed = 0
        self._start = 0.0

    def _now(self) -> float:
        return time.monotonic() - self._start

    async def run(self) -> None:
        """Send all requests, and wait for the last response."""
        pools = ConnectionPools(
            count=self._script.pools,
            seconds=self._script.connection_seconds,
            timeout=self._script.timeout_seconds,
        )
        self._start = time.monotonic()
        self._report(event="start", start=self._start)
        reporter = asyncio.create_task(self._report_progress())
        try:
            async with asyncio.TaskGroup() as requests:
                for due in schedule(self._script.phases, seed=self._script.seed):
                    await asyncio.sleep(max(0.0, due.at - self._now()))
                    requests.create_task(self._send(due, await pools.take()))
                await asyncio.sleep(max(0.0, starts(self._script.phases)[-1] - self._now()))
        finally:
            reporter.cancel()
            await pools.close()
        self._report(event="end", requests=self._done, failed=self._failed)

    async def _send(self, due: ScheduledRequest, pool: ConnectionPool) -> None:
        sent, status, error = self._now(), 0, ""
        self._sent += 1
        try:
            status = await pool.post(self._script.url, self._script.body)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            error = f"{type(problem).__name__}: {problem}"
        record = RequestRecord(due.phase, due.at, sent, self._now(), status, error)
        self._done += 1
        self._failed += not record.ok
        self._window.add(record)
        self._records.write(encode(record) + "\n")

    async def _report_progress(self) -> None:
        sent: deque[tuple[float, int]] = deque([(0.0, 0)])
        while True:
            await asyncio.sleep(1)
            now = self._now()
            while len(sent) > 1 and sent[1][0] <= now - WINDOW_SECONDS:
                sent.popleft()
            self._report(
                event="progress",
                at=now,
                offered_rps=(self._sent - sent[0][1]) / (now - sent[0][0]),
                requests=self._done,
                failed=self._failed,
                in_flight=self._sent - self._done,
                **self._window.stats(now, self._script.percent),
            )
            sent.append((now, self._sent))
            self._records.flush()

    def _report(self, **fields: Any) -> None:
        self._progress.write(json.dumps(fields) + "\n")
        self._progress.flush()


def main() -> None:
    """Read a script from standard input and run it."""
    script = LoadScript.parse(sys.stdin.read())
    with Path(script.records).open("w", encoding="utf-8") as records:
        asyncio.run(LoadGenerator(script, records=records, progress=sys.stdout).run())


if __name__ == "__main__":
    main()
