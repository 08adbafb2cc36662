"""Means and percentiles over recent ticks."""

import pytest
from unit.sizing.samples import row, tick

from aiapi_operator.sizing import histogram, windows
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.state import ThreadUse, Tick

P95 = LatencyObjective(percentile=95, threshold=0.8)


def test_a_mean_weighs_each_tick_by_its_length() -> None:
    ticks = (tick(2.0, arrivals=25.0), tick(3.0, arrivals=40.0, seconds=1.0))
    assert windows.mean(ticks, "arrivals") == pytest.approx(30.0)
    assert windows.span(ticks) == 3.0


def test_a_minute_of_ticks_is_kept() -> None:
    ticks = row(30)
    assert windows.append(ticks, tick(62.0), now=62.0)[0].time == 4.0
    assert windows.append(ticks, None, now=100.0)[0].time == 42.0
    assert windows.append(ticks, None, now=1e6) == ()


def test_a_long_tick_has_parts_that_windows_tell_apart() -> None:
    long = tick(60.0, seconds=46.0, arrivals=2.0, counts=(3, 0, 0))
    parts = windows.parts(long, 2.0)
    assert [(each.time, each.seconds) for each in parts] == [
        (54.0, 40.0),
        (56.0, 2.0),
        (58.0, 2.0),
        (60.0, 2.0),
    ]
    assert {each.arrivals for each in parts} == {2.0}
    assert [sum(each.counts) for each in parts] == [0, 0, 0, 3], "each request counts once"
    assert [windows.span(windows.parts(long, each)) for each in (0.5, 5.0)] == [46.0, 46.0]


def test_an_ordinary_tick_has_one_part() -> None:
    assert windows.parts(None, 2.0) == ()
    for seconds, interval in ((2.0, 2.0), (9.0, 2.0), (60.0, 60.0)):
        found = tick(60.0, seconds=seconds)
        assert windows.parts(found, interval) == (found,)


def test_the_last_seconds_have_at_least_the_newest_tick() -> None:
    assert [each.time for each in windows.last(row(), now=60.0, seconds=6.0)] == [56.0, 58.0, 60.0]
    assert [each.time for each in windows.last(row(), now=90.0, seconds=6.0)] == [60.0]
    assert windows.last((), now=0.0, seconds=6.0) == ()


def test_latencies_of_other_bounds_are_not_added() -> None:
    ticks = (tick(2.0, bounds=(0.5,), counts=(1, 2)), *row(2, start=2.0))
    assert windows.latencies(ticks) == ((0.1, 0.2), (0, 400, 0))
    assert windows.latencies((tick(2.0, counts=()),)) == ((0.1, 0.2), ())
    assert windows.latencies(()) == ((), ())


def test_a_latency_is_read_from_as_few_ticks_as_have_enough_requests() -> None:
    slow, fast = {"counts": (0, 0, 200)}, {"counts": (200, 0, 0)}
    ticks = (*row(27, **fast), *row(3, start=54.0, **slow))
    assert windows.latency(ticks, P95) == histogram.Percentile(0.2, at_least=True)
    rare = (*row(27, **fast), *row(3, start=54.0, counts=(0, 0, 1)))
    found = windows.latency(rare, P95)
    assert found is not None
    assert found.seconds < 0.1


def test_a_slow_request_reaches_back_to_the_queue_it_was_in() -> None:
    ticks = (*row(25), *row(3, start=50.0, busiest=0.9), *row(5, start=56.0))
    assert windows.peak_utilization(ticks, now=66.0, latency=9.0) == 0.25
    assert windows.peak_utilization(ticks, now=66.0, latency=11.0) == 0.9
    assert windows.peak_utilization(ticks, now=66.0, latency=60.0) == 0.9


def test_one_tick_of_the_busiest_loop_is_no_peak() -> None:
    ticks = (*row(30), tick(62.0, busiest=0.9), *row(2, start=62.0))
    assert windows.peak_utilization(ticks, now=66.0, latency=9.0) == 0.25


@pytest.mark.parametrize(
    ("rate", "peak"), [(5000.0, 0.99), (200.0, 0.95), (50.0, 0.9), (2.0, 0.5), (0.5, 0.25)]
)
def test_one_tick_in_which_all_loops_are_full_is_a_peak_beyond_chance(
    rate: float, peak: float
) -> None:
    full = tick(62.0, busiest=1.0, loop=4.0, arrivals=rate)
    ticks = (*row(30), full, *row(2, start=62.0))
    assert windows.peak_utilization(ticks, now=66.0, latency=1.0) == pytest.approx(peak)


def test_the_peak_of_the_first_tick_is_its_own() -> None:
    assert windows.peak_utilization((tick(2.0, busiest=0.9),), now=2.0, latency=4.0) == 0.9


def pools(busy: float, waiting: float, **changes: object) -> tuple[Tick, ...]:
    use = ThreadUse(name="anyio", limit=40, busy=busy, waiting=waiting)
    return row(3, threads=(use,), **changes)


def test_a_few_waiting_calls_do_not_count() -> None:
    assert not windows.waited_for_threads(pools(40.0, 1.0), now=6.0, latency=1.0)
    assert windows.waited_for_threads(pools(40.0, 3.0), now=6.0, latency=1.0)
    assert not windows.waited_for_threads(row(3), now=6.0, latency=1.0)


def test_calls_that_hold_or_await_a_thread_are_in_threads() -> None:
    assert windows.calls_in_threads(pools(30.0, 4.0)) == pytest.approx(34.0)
    assert windows.calls_in_threads(row(3)) == 0


@pytest.mark.parametrize(
    ("threads", "part"), [(1, 0.37), (2, 0.55), (4, 0.68), (9, 0.79), (10, 0.8), (40, 0.8)]
)
def test_small_pools_need_more_spare_threads(threads: int, part: float) -> None:
    assert windows.planned_share(threads) == pytest.approx(part, abs=0.005)


@pytest.mark.parametrize(
    ("busy", "loop", "reached"),
    [
        pytest.param(32.0, 0.2, 0.2, id="the worked example"),
        pytest.param(32.0, 1.2, 0.65, id="loops are at their target before"),
        pytest.param(2.0, 0.01, 0.65, id="hardly any thread is busy"),
    ],
)
def test_threads_limit_the_loop_utilization(busy: float, loop: float, reached: float) -> None:
    ticks = pools(busy, 0.0, loop=loop, workers=2.0)
    assert windows.loops_when_threads_run_out(ticks, 0.65) == pytest.approx(reached)


def test_without_threads_loops_reach_their_target() -> None:
    assert windows.loops_when_threads_run_out(row(3), 0.65) == 0.65


def test_a_pod_is_heaviest_only_if_its_load_is_always_higher() -> None:
    chance = tuple(tick(2.0 * i, loop=4.0, heaviest=1.9 if i % 2 else 0.8) for i in range(30))
    lasting = tuple(tick(2.0 * i, loop=4.0, heaviest=1.6) for i in range(30))
    assert windows.heaviest(chance, now=58.0, seconds=30.0) == 0.2
    assert windows.heaviest(lasting, now=58.0, seconds=30.0) == 0.4


def test_the_heaviest_share_applies_to_a_risen_load() -> None:
    rising = tuple(tick(2.0 * i, loop=3.0 + i, heaviest=(3.0 + i) / 3) for i in range(15))
    assert windows.heaviest(rising, now=28.0, seconds=30.0) == pytest.approx(1 / 3)
    idle = (tick(0.0, loop=0.0, heaviest=0.0),)
    assert windows.heaviest(idle, now=0.0, seconds=30.0) == 0.0


def test_one_busier_pod_among_many() -> None:
    assert windows.uneven([1.0, 1.0, 1.0, 0.0]) == pytest.approx(1.0)
    assert windows.uneven([1.0] * 7 + [1.3]) == pytest.approx(1.1, abs=0.01)
    assert windows.uneven([0.0, 0.0]) == 0.0
