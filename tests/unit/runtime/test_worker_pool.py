"""Back-off after failed starts, and which worker drains."""

from time import monotonic

import pytest

from aiapi_runtime.runtime.channel import Channel
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.worker_pool import WorkerPool
from aiapi_runtime.runtime.worker_process import WorkerProcess, WorkerState
from aiapi_runtime.telemetry.layout import Cell
from aiapi_runtime.telemetry.shared_memory import PodTotals, SlotMemory


@pytest.fixture
def memory():
    return SlotMemory.create(RuntimeSettings(app="x:app").slots)


@pytest.fixture
def pool(memory):
    return WorkerPool(RuntimeSettings(app="x:app"), memory, PodTotals(memory), 1)


def test_the_back_off_is_bounded_after_days_of_failures(pool):
    pool.failures = 5000
    pool.failed("no database")
    assert pool.failures == 5001
    assert 26 < pool.retry_at - monotonic() < 34


@pytest.fixture
def drained(pool, memory):
    """The slot of the worker that drains, of workers with these numbers."""
    channels = []

    def drain_one(*rows):
        for slot, numbers in enumerate(rows):
            ours, theirs = Channel.pair()
            channels.extend((ours, theirs))
            worker = WorkerProcess(slot=slot, channel=ours, started_at=1.0)
            worker.state = WorkerState.READY
            pool.workers[slot] = worker
            for cell, value in numbers.items():
                memory.slots[slot].numbers[cell] = value
        pool.scale(len(rows) - 1)
        (slot,) = (one.slot for one in pool.in_state(WorkerState.DRAINING))
        return slot

    yield drain_one
    for channel in channels:
        channel.close()


@pytest.mark.parametrize("open_work", [Cell.WEBSOCKETS, Cell.STREAMS, Cell.IN_FLIGHT], ids=str)
def test_open_work_keeps_a_worker_and_idle_connections_do_not(drained, open_work):
    idle = {Cell.CONNECTIONS: 40}
    busy = {Cell.CONNECTIONS: 1, open_work: 1}
    assert drained(busy, idle) == 1


def test_a_websocket_counts_more_than_requests_in_flight(drained):
    requests = {Cell.CONNECTIONS: 9, Cell.IN_FLIGHT: 9}
    socket = {Cell.CONNECTIONS: 1, Cell.WEBSOCKETS: 1}
    assert drained(socket, requests) == 1


def test_without_open_work_the_worker_with_the_fewest_connections_drains(drained):
    assert drained(*({Cell.CONNECTIONS: count} for count in (5, 2, 9))) == 1
