"""What counts as use of a pod: requests, streams and WebSockets, but no probes and scrapes."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace

import pytest

from aiapi_runtime.telemetry import counters, layout, requests
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.idleness import DEFAULT_PATHS, IN_USE, IgnoredPaths, idle_seconds
from aiapi_runtime.telemetry.layout import NUMBERS, Cell
from aiapi_runtime.telemetry.requests import count_requests
from aiapi_runtime.telemetry.shared_memory import PodTotals, SlotMemory


@pytest.fixture
def clock(monkeypatch):
    time = SimpleNamespace(now=100.0)
    for module in (requests, counters):
        monkeypatch.setattr(module, "monotonic", lambda: time.now)
    return time


class Worker:
    """The wrapper around an app that notes what it reports meanwhile, and takes a second."""

    def __init__(self, clock, paths=None, status=200):
        exemplars = memoryview(bytearray(layout.EXEMPLARS * layout.EXEMPLAR.size))
        numbers = memoryview(bytearray(NUMBERS * 8)).cast("d")
        self.counters = RequestCounters(numbers, exemplars)
        self.meanwhile = []
        self._clock, self._status = clock, status
        self._counted = count_requests(self._app, self.counters, ignored_paths=paths)

    @property
    def used_at(self):
        self.counters.write()
        return self.counters.numbers[Cell.USED_AT]

    async def _app(self, scope, receive, send):
        self.meanwhile.append(self.used_at)
        self._clock.now += 1.0
        if self._status is None:
            raise RuntimeError("wanted")
        await send({"type": "http.response.start", "status": self._status, "headers": []})

    async def request(self, path="/v1/chat", agent=b"curl/8", kind="http"):
        scope = {"type": kind, "path": path, "headers": [(b"user-agent", agent)]}

        async def nothing(_=None):
            return {}

        with suppress(RuntimeError):
            await self._counted(scope, nothing, nothing)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("status", [200, 404, 503, None])
async def test_a_request_is_use_while_it_is_open_and_until_it_ends(clock, kind, status):
    worker = Worker(clock, status=status)
    assert worker.used_at == 0.0
    await worker.request(kind=kind)
    assert worker.meanwhile == [IN_USE]
    assert worker.used_at == 101.0


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("status", [200, 503, None])
@pytest.mark.parametrize("path", DEFAULT_PATHS)
async def test_a_health_path_is_no_use(clock, kind, status, path):
    worker = Worker(clock, status=status)
    await worker.request(path, kind=kind)
    assert worker.meanwhile == [0.0]
    assert worker.used_at == 0.0


@pytest.mark.parametrize("agent", [b"kube-probe/1.37", b"Prometheus/3.5.0"])
async def test_probes_and_scrapes_are_no_use_on_any_path(clock, agent):
    worker = Worker(clock)
    await worker.request("/custom/ready", agent)
    assert worker.meanwhile == [0.0]
    assert worker.used_at == 0.0
    await worker.request("/health/ai", b"not kube-probe/1")
    assert worker.used_at == 102.0, "neither the path nor the agent is one of them"


async def test_configured_paths_are_no_use(clock):
    worker = Worker(clock, IgnoredPaths.parse("/status, /internal/*"))
    for path in ("/status", "/internal/", "/internal/a/b", "/healthz"):
        await worker.request(path)
    assert worker.used_at == 0.0
    await worker.request("/internal")
    await worker.request("/status/x")
    assert worker.meanwhile == [0.0, 0.0, 0.0, 0.0, IN_USE, IN_USE]


async def test_paths_begin_below_the_root_path(clock):
    worker = Worker(clock, IgnoredPaths.parse("/status,/internal/*", "/api"))
    for path in ("/api/status", "/api/internal/a", "/api/healthz"):
        await worker.request(path)
    assert worker.used_at == 0.0


async def test_a_probe_during_a_request_leaves_the_worker_in_use(clock):
    worker = Worker(clock)

    async def app(scope, receive, send):
        await worker.request("/healthz")
        assert worker.used_at == IN_USE

    await count_requests(app, worker.counters)(
        {"type": "http", "path": "/", "headers": []}, None, None
    )
    assert worker.meanwhile == [IN_USE]
    assert worker.used_at == 101.0


async def test_a_cancelled_request_is_use_until_it_ends(clock):
    worker = Worker(clock)

    async def app(scope, receive, send):
        await asyncio.sleep(60)

    scope = {"type": "http", "path": "/", "headers": []}
    task = asyncio.create_task(count_requests(app, worker.counters)(scope, None, None))
    await asyncio.sleep(0)
    assert worker.used_at == IN_USE
    clock.now = 150.0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert worker.used_at == 150.0


async def test_a_refused_request_is_use(clock):
    worker = Worker(clock)
    worker.counters.count_refused(170.0)
    assert worker.used_at == 170.0


def test_the_last_use_of_departed_workers_is_kept():
    memory = SlotMemory.create(4)
    totals = PodTotals(memory)
    for index, used_at in enumerate((30.0, 40.0, 0.0)):
        memory.slots[index].numbers[Cell.USED_AT] = used_at
    rows = [totals.read(index, 50.0) for index in range(3)]
    assert totals.total(rows)[Cell.USED_AT] == 40.0
    for index in range(3):
        totals.fold(index, 50.0)
    assert totals.retired[Cell.USED_AT] == 40.0
    memory.slots[0].numbers[Cell.USED_AT] = 45.0
    assert totals.total([totals.read(0, 50.0)])[Cell.USED_AT] == 45.0
    memory.slots[0].numbers[Cell.USED_AT] = 35.0
    assert totals.total([totals.read(0, 50.0)])[Cell.USED_AT] == 40.0


def test_a_worker_that_died_in_use_was_used_until_then():
    memory = SlotMemory.create(1)
    totals = PodTotals(memory)
    memory.slots[0].numbers[Cell.USED_AT] = IN_USE
    assert totals.total([totals.read(0, 50.0)])[Cell.USED_AT] == IN_USE
    totals.fold(0, 60.0)
    assert totals.total([totals.read(0, 70.0)])[Cell.USED_AT] == 60.0


def test_idle_since_the_last_use_or_the_start():
    assert idle_seconds(IN_USE, 10.0, 50.0) == 0.0
    assert idle_seconds(40.0, 10.0, 50.0) == 10.0
    assert idle_seconds(0.0, 10.0, 50.0) == 40.0
    assert idle_seconds(50.1, 10.0, 50.0) == 0.0
