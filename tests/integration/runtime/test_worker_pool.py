"""The handover of idle connections between workers, with real sockets and no workers."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from aiapi_runtime.runtime.channel import Channel
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.worker_pool import WorkerPool
from aiapi_runtime.runtime.worker_process import WorkerProcess, WorkerState
from aiapi_runtime.telemetry.shared_memory import PodTotals, SlotMemory


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    settings = RuntimeSettings(app="app:app", max_workers=4)
    memory = SlotMemory.create(settings.slots)
    yield WorkerPool(settings, memory, PodTotals(memory), wanted=1)
    os.close(memory.fd)


async def test_all_of_many_idle_connections_reach_the_next_ready_worker(pool):
    ours, theirs = Channel.pair()
    leaver, leaver_end = Channel.pair()
    for end in (ours, theirs, leaver):
        end.sock.setblocking(False)
    loop = asyncio.get_running_loop()
    leaving = WorkerProcess(
        slot=0, channel=leaver, started_at=loop.time(), pid=1, state=WorkerState.DRAINING
    )
    pool.workers[0] = leaving
    sent = []
    for _ in range(3):
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(90)]
        assert leaver_end.send({"event": "idle"}, files)
        sent += files
        for file in files:
            os.close(file)
    pool._receive(leaving)
    pool.workers[1] = WorkerProcess(
        slot=1, channel=ours, started_at=loop.time(), state=WorkerState.READY
    )
    pool._place_connections()
    arrived = []
    while (received := theirs.receive()) is not None:
        arrived += received[1]
    assert len(arrived) == len(sent) == 270
    for file in arrived:
        os.close(file)
    for end in (ours, theirs, leaver, leaver_end):
        end.close()
