"""How long a pod at rest holds its answer back."""

import asyncio
import time

import pytest

from aiapi_runtime.runtime import rest
from aiapi_runtime.runtime.rest import Activity, requests_of, wait_at_rest
from aiapi_runtime.telemetry.layout import NUMBERS, Cell
from aiapi_runtime.telemetry.stats import WorkerCounts

ONE = WorkerCounts(wanted=1, starting=0, ready=1, draining=0, failed=0, blocked=0)
BLOCKED = WorkerCounts(wanted=1, starting=0, ready=1, draining=0, failed=0, blocked=1)
IDLE = Activity(requests=7, workers=ONE, not_ready="", loop_seconds=3.0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(rest, "_EVERY", 0.01)


async def seconds(*, now=IDLE, known=7, limit=5.0):
    """How long it waits if the pod is idle for 0.1 s, and then as in ``now``."""
    began = time.monotonic()

    def activity():
        return IDLE if time.monotonic() - began < 0.1 else now

    async with asyncio.timeout(10):
        await wait_at_rest(activity, known, limit)
    return time.monotonic() - began


@pytest.mark.parametrize(
    "change",
    [
        {"requests": 8},
        {"workers": BLOCKED},
        {"not_ready": "terminating"},
        {"loop_seconds": 3.8},
    ],
)
async def test_it_ends_when_anything_happens(change):
    assert 0.1 <= await seconds(now=IDLE._replace(**change)) < 2.0


async def test_it_ends_at_the_limit_and_little_work_does_not_end_it():
    assert 0.3 <= await seconds(now=IDLE._replace(loop_seconds=3.4), limit=0.3) < 2.0


async def test_a_request_that_the_caller_does_not_know_of_ends_it_at_once():
    assert await seconds(known=6) < 0.1
    assert await seconds(known=None, limit=0.2) >= 0.2


def test_open_requests_and_websockets_count_too():
    numbers = [0.0] * NUMBERS
    numbers[Cell.SUCCESS], numbers[Cell.SHED] = 5.0, 2.0
    numbers[Cell.IN_FLIGHT], numbers[Cell.WEBSOCKETS] = 3.0, 1.0
    numbers[Cell.IN_FLIGHT_SECONDS] = 99.0
    assert requests_of(numbers) == 11
