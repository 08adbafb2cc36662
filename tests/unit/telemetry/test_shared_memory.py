"""The shared numbers: what is kept when workers end, and that no total ever decreases."""

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_runtime.telemetry import run_queue
from aiapi_runtime.telemetry.layout import BOUNDS, BUCKETS, GAUGES, NUMBERS, Cell
from aiapi_runtime.telemetry.shared_memory import BEAT_SECONDS, PodTotals, SlotMemory

COUNTERS = [cell for cell in range(NUMBERS) if cell not in GAUGES]


@pytest.fixture
def memory():
    return SlotMemory.create(4)


def test_two_views_of_one_memory_share_numbers_and_text(memory):
    other = SlotMemory(memory.fd, 4)
    memory.slots[2].numbers[Cell.SUCCESS] = 7
    memory.slots[2].text = "app.py:1 f"
    assert other.slots[2].numbers[Cell.SUCCESS] == 7
    assert other.slots[2].text == "app.py:1 f"
    assert other.slots[1].numbers[Cell.SUCCESS] == 0
    assert other.slots[1].text == ""


@given(st.text())
def test_a_long_text_keeps_its_end(text):
    slot = SlotMemory.create(1).slots[0]
    slot.text = text
    assert len(slot.text) <= 256
    if len(text.encode()) < 256:
        assert slot.text == text
    else:
        assert text.endswith(slot.text.lstrip("\ufffd"))


def test_counters_of_departed_workers_stay_and_gauges_do_not(memory):
    totals = PodTotals(memory)
    numbers = memory.slots[0].numbers
    numbers[Cell.SUCCESS] = 10
    numbers[Cell.CONNECTIONS] = 3
    numbers[Cell.LATENCY_SUM] = 2.5
    totals.fold(0, now=50.0)
    total = totals.total([totals.read(0, 50.0)])
    assert total[Cell.SUCCESS] == 10
    assert total[Cell.LATENCY_SUM] == 2.5
    assert total[Cell.CONNECTIONS] == 0
    assert list(numbers) == [0.0] * NUMBERS, "the slot is free for the next"


def test_requests_in_flight_at_a_crash_count_as_failed(memory):
    totals = PodTotals(memory)
    numbers = memory.slots[0].numbers
    numbers[Cell.IN_FLIGHT] = 2
    numbers[Cell.IN_FLIGHT_AT] = 10.0
    totals.fold(0, now=13.0)
    assert totals.retired[Cell.SERVER_ERROR] == 2
    assert totals.retired[Cell.IN_FLIGHT_SECONDS] == pytest.approx(6.0)
    assert totals.retired[Cell.IN_FLIGHT] == 0


def test_open_requests_add_time_between_two_writes(memory):
    totals = PodTotals(memory)
    numbers = memory.slots[0].numbers
    numbers[Cell.IN_FLIGHT], numbers[Cell.IN_FLIGHT_AT] = 4, 10.0
    numbers[Cell.UPSTREAM_OPEN], numbers[Cell.UPSTREAM_AT] = 3, 10.0
    row = totals.read(0, 12.0)
    assert row[Cell.IN_FLIGHT_SECONDS] == pytest.approx(8.0)
    assert row[Cell.UPSTREAM_SECONDS] == pytest.approx(6.0)


def test_a_late_heartbeat_is_loop_time(memory):
    totals = PodTotals(memory)
    numbers = memory.slots[0].numbers
    numbers[Cell.BEAT_AT], numbers[Cell.WORKER_SECONDS] = 10.0, 5.0
    numbers[Cell.SERVING] = 1.0
    assert totals.read(0, 10.0 + BEAT_SECONDS / 2)[Cell.LOOP_SECONDS] == 0
    row = totals.read(0, 12.0 + BEAT_SECONDS)
    assert row[Cell.LOOP_SECONDS] == pytest.approx(2.0)
    assert row[Cell.WORKER_SECONDS] == pytest.approx(7.0)


def test_a_late_heartbeat_of_a_worker_that_does_not_serve_is_no_load(memory):
    totals = PodTotals(memory)
    memory.slots[0].numbers[Cell.BEAT_AT] = 10.0
    row = totals.read(0, 30.0)
    assert row[Cell.LOOP_SECONDS] == row[Cell.WORKER_SECONDS] == 0


def test_a_late_heartbeat_is_a_wait_for_a_cpu_as_far_as_the_kernel_counts_one(memory, monkeypatch):
    monkeypatch.setattr(run_queue, "delay_of", {4711: 8.5}.get)
    totals = PodTotals(memory)
    numbers = memory.slots[0].numbers
    numbers[Cell.BEAT_AT], numbers[Cell.SERVING] = 10.0, 1.0
    numbers[Cell.RUN_QUEUE_SECONDS], numbers[Cell.RUN_QUEUE_AT_BEAT] = 3.0, 7.0
    assert totals.read(0, 10.0, pid=4711)[Cell.RUN_QUEUE_SECONDS] == 3.0, "it is not late"
    assert totals.read(0, 13.0, pid=4711)[Cell.RUN_QUEUE_SECONDS] == 4.5
    # It cannot be read after the process has ended; what was reported stays.
    assert totals.read(0, 13.1, pid=1)[Cell.RUN_QUEUE_SECONDS] == 4.5


events = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["begin", "end", "beat", "die", "read"])),
    max_size=60,
)


@given(events, st.lists(st.floats(0, 3), min_size=60, max_size=60))
def test_no_total_ever_decreases(script, pauses):
    memory = SlotMemory.create(4)
    totals = PodTotals(memory)
    now, last = 1.0, [0.0] * NUMBERS
    for (index, event), pause in zip(script, pauses, strict=False):
        now += pause
        act(memory.slots[index].numbers, event, now)
        if event == "die":
            totals.fold(index, now)
        total = totals.total([totals.read(slot, now) for slot in range(4)])
        for cell in COUNTERS:
            assert total[cell] >= last[cell] - 1e-9, Cell(cell).name
        last = total
    assert math.isfinite(sum(last))


def act(numbers, event, now):
    """What a worker writes, apart from how: see CountRequests and Heartbeat."""
    change = {"begin": 1, "end": -1}.get(event, 0)
    if change and numbers[Cell.IN_FLIGHT] + change >= 0:
        waited = numbers[Cell.IN_FLIGHT] * (now - numbers[Cell.IN_FLIGHT_AT])
        numbers[Cell.IN_FLIGHT_SECONDS] += waited
        numbers[Cell.IN_FLIGHT_AT] = now
        numbers[Cell.IN_FLIGHT] += change
        numbers[Cell.SUCCESS] += change < 0
    if event == "beat":
        since = now - (numbers[Cell.BEAT_AT] or now)
        numbers[Cell.WORKER_SECONDS] += since
        numbers[Cell.LOOP_SECONDS] += max(0.0, since - BEAT_SECONDS)
        numbers[Cell.BEAT_AT] = now
        numbers[Cell.SERVING] = 1.0


def test_bounds_ascend_and_reach_from_below_a_millisecond_past_a_minute():
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert BOUNDS[0] < 0.001
    assert BOUNDS[-1] > 60
    assert len(BOUNDS) + 1 == BUCKETS


@given(st.floats(0.001, 60.0))
def test_a_value_read_from_its_bucket_is_within_ten_percent(value):
    index = bisect_left(BOUNDS, value)
    middle = math.sqrt(BOUNDS[index - 1] * BOUNDS[index])
    assert middle == pytest.approx(value, rel=0.10)
