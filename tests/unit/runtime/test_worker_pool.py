"""What the worker pool does when starts fail."""

from time import monotonic

import pytest

from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.worker_pool import WorkerPool
from aiapi_runtime.telemetry.shared_memory import PodTotals, SlotMemory


@pytest.fixture
def pool():
    settings = RuntimeSettings(app="x:app")
    memory = SlotMemory.create(settings.slots)
    return WorkerPool(settings, memory, PodTotals(memory), 1)


def test_the_back_off_is_bounded_after_days_of_failures(pool):
    pool.failures = 5000
    pool.failed("no database")
    assert pool.failures == 5001
    assert 26 < pool.retry_at - monotonic() < 34
