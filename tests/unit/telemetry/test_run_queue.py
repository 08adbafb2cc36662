"""Reading the run-queue delay, and what is reported where the kernel does not measure it."""

import os
from time import monotonic, perf_counter, sleep, thread_time

import pytest

from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.worker_pool import WorkerPool
from aiapi_runtime.runtime.worker_process import WorkerProcess
from aiapi_runtime.telemetry import prometheus, run_queue, stats
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.heartbeat import Watchdog
from aiapi_runtime.telemetry.layout import NUMBERS, Cell
from aiapi_runtime.telemetry.run_queue import RunQueue
from aiapi_runtime.telemetry.shared_memory import PodTotals, SlotMemory
from aiapi_runtime.telemetry.start_times import StartTimes


def test_the_second_number_is_the_delay_in_nanoseconds():
    assert run_queue.parse(b"2100000000 7200000000 39\n") == 7.2


@pytest.mark.parametrize("text", [b"0 0 0\n", b"", b"17\n"])
def test_a_kernel_that_measures_nothing_is_not_a_delay_of_zero(text):
    assert run_queue.parse(text) is None


def test_a_missing_file_is_not_a_delay_of_zero(monkeypatch):
    def no_file(*_):
        raise FileNotFoundError

    monkeypatch.setattr(os, "open", no_file)
    assert RunQueue().read() is None
    assert run_queue.delay_of(2**22 + 1) is None


def burn(seconds):
    end = thread_time() + seconds
    while thread_time() < end:
        pass


def test_a_wait_for_a_cpu_is_measured_and_a_sleep_is_not():
    own = RunQueue()
    before = own.read()
    sleep(0.2)
    assert own.read() - before < 0.1
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        child = os.fork()
        if not child:
            burn(30.0)
            os._exit(0)
        before, started = own.read(), monotonic()
        burn(0.3)
        wall, waited = monotonic() - started, own.read() - before
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.sched_setaffinity(0, allowed)
    assert waited > 0.1
    assert waited == pytest.approx(wall - 0.3, abs=0.1)


def test_a_reading_takes_microseconds():
    own = RunQueue()
    started = perf_counter()
    cpu = thread_time()
    for _ in range(1000):
        own.read()
    assert min(perf_counter() - started, thread_time() - cpu) / 1000 < 50e-6


class Waiting(RunQueue):
    """A thread whose delay is set by the test."""

    def __init__(self):
        self.delay = 3.0

    def read(self):
        return self.delay


@pytest.mark.parametrize(("waited", "blocks"), [(0.0, 1), (30.0, 0)])
def test_the_watchdog_does_not_take_a_wait_for_a_cpu_for_a_block(waited, blocks):
    slot = SlotMemory.create(1).slots[0]
    queue = Waiting()
    numbers = slot.numbers
    numbers[Cell.SERVING], numbers[Cell.RUN_QUEUE_AT_BEAT] = 1.0, queue.delay
    numbers[Cell.BEAT_AT] = monotonic() - 5.0
    queue.delay += waited
    counters = RequestCounters(numbers, slot.exemplars)
    watchdog = Watchdog(slot, counters, 0.2, os.getppid(), queue, own="app")
    watchdog.start()
    sleep(0.3)
    watchdog.stop()
    watchdog.join()
    assert numbers[Cell.BLOCKS] == blocks
    assert bool(slot.text) == bool(blocks)


@pytest.mark.parametrize(("waited", "blocked"), [(0.0, True), (5.0, False), (3.0, True)])
def test_the_supervisor_does_not_take_a_wait_for_a_cpu_for_a_block(monkeypatch, waited, blocked):
    memory = SlotMemory.create(1)
    pool = WorkerPool(RuntimeSettings(app="app:app"), memory, PodTotals(memory), 1)
    numbers = memory.slots[0].numbers
    numbers[Cell.SERVING], numbers[Cell.RUN_QUEUE_AT_BEAT] = 1.0, 3.0
    numbers[Cell.BEAT_AT] = 100.0
    monkeypatch.setattr(run_queue, "delay_of", lambda _: 3.0 + waited)
    worker = WorkerProcess(slot=0, channel=None, started_at=0.0, pid=4711)
    assert pool.is_blocked(worker, 1.0, 105.0) is blocked


def snapshot(*, known):
    total = [0.0] * NUMBERS
    total[Cell.RUN_QUEUE_SECONDS] = 1.5
    counts = stats.WorkerCounts(wanted=1, starting=0, ready=1, draining=0, failed=0, blocked=0)
    starts = StartTimes()
    starts.observe(8.2)
    return stats.PodSnapshot(
        instance="i",
        uptime=1.0,
        ready=True,
        workers=counts,
        blocked_at="",
        failure="",
        total=total,
        rss_bytes=0,
        accept_depth=0,
        accept_limit=0,
        worker_limit=0,
        starts=starts,
        waits_known=known,
    )


def metrics(taken):
    return prometheus.render(taken, [], prometheus.ExtraMetrics(), "")[1].decode()


def test_an_unknown_delay_is_null_and_has_no_series():
    assert stats.as_json(snapshot(known=False))["run_queue_seconds"] is None
    assert stats.as_json(snapshot(known=True))["run_queue_seconds"] == 1.5
    assert "\naiapi_run_queue_seconds_total 1.5\n" in metrics(snapshot(known=True))
    assert "\naiapi_run_queue_seconds_total " not in metrics(snapshot(known=False))


def test_starts_are_a_histogram():
    text = metrics(snapshot(known=True))
    assert 'aiapi_worker_start_seconds_bucket{le="5.0"} 0.0' in text
    assert 'aiapi_worker_start_seconds_bucket{le="10.0"} 1.0' in text
    assert "aiapi_worker_start_seconds_sum 8.2" in text
    assert stats.as_json(snapshot(known=True))["start_seconds"] == 8.2
