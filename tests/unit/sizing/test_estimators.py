"""The pure functions, each on the worked example of its docstring and at its limits."""

import pytest
from unit.sizing.fleet_model import BOUNDS, FleetModel, spec

from aiapi_operator.sizing import demand, histogram, peaks, rates, service_demand, windows
from aiapi_operator.sizing.inputs import Fleet, Histogram, LatencyObjective, PodSample, PodUnknown
from aiapi_operator.sizing.state import Forecasts, ServiceDemand, State, Tick

OBJECTIVE = LatencyObjective(percentile=95, threshold=0.8)


def tick(at: float, **changes: object) -> Tick:
    usual: dict = {
        "time": at,
        "seconds": 2.0,
        "arrivals": 100.0,
        "completed": 100.0,
        "shed": 0.0,
        "in_flight": 30.0,
        "loop": 0.92,
        "workers": 4.0,
        "busiest": 0.25,
        "heaviest": 0.5,
        "upstream": 29.0,
        "bounds": (0.1, 0.2),
        "counts": (0, 200, 0),
    }
    return Tick(**(usual | changes))


def row(count: int = 30, **changes: object) -> tuple[Tick, ...]:
    return tuple(tick(2.0 * i, **changes) for i in range(1, count + 1))


def pod(at: float, name: str = "a", **changes: object) -> PodSample:
    usual: dict = {
        "pod": name,
        "time": at,
        "instance": "one",
        "ready": True,
        "workers_wanted": 2,
        "workers_ready": 2,
        "workers_draining": 0,
        "workers_blocked": 0,
        "blocked_at": "",
        "failure": "",
        "succeeded": 100,
        "client_errors": 0,
        "server_errors": 0,
        "cancelled": 0,
        "shed": 0,
        "in_flight_seconds": 0.0,
        "loop_seconds": 1.0,
        "worker_seconds": 100.0,
        "cpu_seconds": 1.0,
        "upstream_seconds": 0.0,
        "latency": Histogram(bounds=(0.1, 1.0), counts=(1, 1, 0), sum=0.0),
        "loop_lag": Histogram(bounds=(), counts=(), sum=0.0),
        "in_flight": 4,
        "open_connections": 0,
        "accept_queue_depth": 0,
        "rss_bytes": 0,
    }
    return PodSample(**(usual | changes))


def measured(before: tuple, after: tuple) -> Tick | None:
    """The tick between two samples of a fleet, 2 s apart, from 100 s on."""
    first = rates.validate(Fleet(replicas=9, pods=before), now=100.0, interval=2.0)
    samples = rates.measure(first, State(), now=100.0).samples
    second = rates.validate(Fleet(replicas=9, pods=after), now=102.0, interval=2.0)
    return rates.measure(second, State(now=100.0, samples=samples), now=102.0).tick


# Histograms


def test_percentiles_are_interpolated_inside_a_bucket() -> None:
    read = histogram.percentile((0.1, 0.2), (0, 100, 0), 50)
    assert read == histogram.Percentile(pytest.approx(0.15))


def test_a_percentile_above_the_last_bound_is_a_lower_limit() -> None:
    assert histogram.percentile((0.1, 0.2), (1, 1, 98), 95) == histogram.Percentile(
        0.2, at_least=True
    )


def test_empty_histograms_have_no_percentile() -> None:
    assert histogram.percentile((0.1,), (0, 0), 95) is None
    assert histogram.percentile((), (), 95) is None


def test_merged_histograms_are_not_averaged_percentiles() -> None:
    fast, slow = (1000, 0, 0), (0, 10, 0)
    read = histogram.percentile((0.01, 5.0), histogram.merge([fast, slow]), 95)
    assert read is not None
    assert read.seconds <= 0.01


def test_a_decreased_bucket_has_no_difference() -> None:
    assert histogram.difference((5, 3), (2, 3)) == (3, 0)
    assert histogram.difference((5, 2), (2, 3)) is None


# The window's maximum


def test_peaks_keep_what_can_still_be_the_maximum() -> None:
    stairs = ()
    for at, value in ((0.0, 5.0), (2.0, 3.0), (4.0, 4.0)):
        stairs = peaks.push(stairs, time=at, value=value, window=30.0)
    assert [value for _, value in stairs] == [5.0, 4.0]
    assert peaks.peak(stairs) == 5.0
    assert peaks.peak(peaks.expire(stairs, time=30.0, window=30.0)) == 5.0
    assert peaks.peak(peaks.expire(stairs, time=32.0, window=30.0)) == 4.0
    assert peaks.peak(()) is None
    assert peaks.peak(peaks.push(stairs, time=30.0, value=1.0, window=30.0)) == 5.0
    assert peaks.peak(peaks.push(stairs, time=32.0, value=1.0, window=30.0)) == 4.0


# Rates


def test_growth_in_flight_counts_as_arrivals() -> None:
    found = measured((pod(100.0),), (pod(102.0, succeeded=150, in_flight=10),))
    assert found is not None
    assert (found.completed, found.arrivals) == (25.0, 28.0)


def test_requests_that_were_shed_are_arrivals() -> None:
    found = measured((pod(100.0),), (pod(102.0, succeeded=120, shed=60),))
    assert found is not None
    assert (found.completed, found.shed, found.arrivals) == (10.0, 30.0, 40.0)


def test_a_silent_pod_is_counted_as_the_mean_of_the_others() -> None:
    before = (pod(100.0, "a"), pod(100.0, "b"), pod(100.0, "c"))
    silent = PodUnknown(pod="c", ready=True, reason="timeout")
    after = (pod(102.0, "a", succeeded=156), pod(102.0, "b", succeeded=164), silent)
    found = measured(before, after)
    assert found is not None
    assert found.arrivals == pytest.approx((28 + 32) * 3 / 2)


def test_a_silent_pod_that_is_not_ready_is_not_counted() -> None:
    silent = PodUnknown(pod="c", ready=False, reason="starting")
    found = measured((pod(100.0),), (pod(102.0, succeeded=150), silent))
    assert found is not None
    assert found.completed == 25.0


def test_a_pod_that_answers_again_causes_no_spike() -> None:
    known = rates.validate(Fleet(replicas=1, pods=(pod(100.0),)), now=100.0, interval=2.0)
    silent = rates.validate(
        Fleet(replicas=1, pods=(PodUnknown(pod="a", ready=True, reason=""),)), now=110, interval=2.0
    )
    kept = rates.measure(known, State(), now=100.0).samples
    unknown = rates.measure(silent, State(now=100.0, samples=kept), now=110.0)
    assert unknown.tick is None
    kept = unknown.samples
    back = rates.validate(
        Fleet(replicas=1, pods=(pod(120.0, succeeded=300),)), now=120, interval=2.0
    )
    found = rates.measure(back, State(now=118.0, samples=kept), now=120.0).tick
    assert found is not None
    assert found.completed == 10.0


def test_a_new_instance_counts_from_its_own_start() -> None:
    young = pod(102.0, instance="two", succeeded=10, in_flight=0, worker_seconds=10.0)
    found = measured((pod(100.0),), (young,))
    assert found is not None
    assert found.completed == pytest.approx(10 / 5.0), "10 worker seconds of 2 workers are 5 s"


def test_an_old_instance_seen_for_the_first_time_has_no_rate() -> None:
    assert measured((), (pod(102.0, worker_seconds=5000.0),)) is None


@pytest.mark.parametrize(
    "broken",
    [
        {"succeeded": -1},
        {"loop_seconds": float("nan")},
        {"worker_seconds": float("inf")},
        {"in_flight": 10**400},
    ],
)
def test_an_invalid_sample_makes_its_pod_unknown(broken: dict) -> None:
    seen = rates.validate(Fleet(replicas=1, pods=(pod(100.0, **broken),)), now=100.0, interval=2.0)
    assert seen.samples == ()
    assert [each.reason for each in seen.unknown] == ["invalid counters"]
    assert seen.all_unknown


@pytest.mark.parametrize("at", [50.0, 500.0, float("nan")])
def test_a_stale_sample_makes_its_pod_unknown(at: float) -> None:
    seen = rates.validate(Fleet(replicas=1, pods=(pod(at),)), now=100.0, interval=2.0)
    assert [each.reason for each in seen.unknown] == ["stale sample"]


def test_a_duplicate_pod_counts_once_and_silence_wins() -> None:
    silent = PodUnknown(pod="a", ready=False, reason="timeout")
    seen = rates.validate(Fleet(replicas=1, pods=(pod(100.0), silent)), now=100.0, interval=2.0)
    assert (seen.samples, seen.ready) == ((), 1)
    twice = (pod(99.0, succeeded=1), pod(100.0, succeeded=2))
    seen = rates.validate(Fleet(replicas=1, pods=twice), now=100.0, interval=2.0)
    assert [sample.succeeded for sample in seen.samples] == [2]


def test_latencies_with_other_bounds_are_excluded() -> None:
    other = Histogram(bounds=(0.5,), counts=(9, 9), sum=0.0)
    before = (pod(100.0, "a"), pod(100.0, "b", latency=other))
    grown = Histogram(bounds=(0.1, 1.0), counts=(1, 4, 0), sum=0.0)
    more = Histogram(bounds=(0.5,), counts=(10, 10), sum=0.0)
    found = measured(before, (pod(102.0, "a", latency=grown), pod(102.0, "b", latency=more)))
    assert found is not None
    assert (found.bounds, found.counts) == ((0.1, 1.0), (0, 3, 0))


def test_a_removed_pod_stays_in_the_window() -> None:
    model = FleetModel(spec())
    model.run(60)
    del model.pods[1]
    model.run(2)
    assert windows.mean(model.state.ticks, "arrivals") == pytest.approx(20, rel=0.05)


# Windows


def test_a_mean_weighs_each_tick_by_its_length() -> None:
    ticks = (tick(2.0, arrivals=25.0), tick(3.0, arrivals=40.0, seconds=1.0))
    assert windows.mean(ticks, "arrivals") == pytest.approx(30.0)


def test_a_backlog_disturbs_the_following_ticks() -> None:
    ticks = (tick(2.0), tick(4.0, busiest=0.9), tick(6.0), tick(10.0), tick(12.0))
    assert [each.time for each in windows.undisturbed(ticks, limit=0.5)] == [2.0, 12.0]


# Service demand


def test_service_demand_is_loop_time_less_idle_work_over_requests() -> None:
    known = ServiceDemand(seconds=0.01, idle=0.005, requests=0, confident=False)
    found = service_demand.estimate(row(), known)
    assert found is not None
    assert found.seconds == pytest.approx(0.009)
    assert found.confident


def test_one_blocking_handler_does_not_raise_the_service_demand() -> None:
    found = service_demand.estimate((*row(29), tick(60.0, loop=4.0, busiest=0.7)), None)
    assert found is not None
    assert found.seconds == pytest.approx(0.0092)


def test_a_nearly_idle_tick_does_not_lower_the_service_demand() -> None:
    found = service_demand.estimate((*row(20), *(tick(42.0, loop=0.01) for _ in range(9))), None)
    assert found is not None
    assert found.seconds == pytest.approx(0.0092)


def test_too_few_requests_keep_the_last_service_demand() -> None:
    known = ServiceDemand(seconds=0.01, idle=0.0, requests=500, confident=True)
    few = row(3, arrivals=1.0, completed=1.0)
    assert service_demand.estimate(few, known) is known
    assert service_demand.estimate(few, None) is None
    assert service_demand.estimate((), known) is known


def test_idle_work_is_learned_without_requests() -> None:
    quiet = row(10, arrivals=0.0, completed=0.0, loop=0.02)
    busy = tuple(tick(20.0 + 2 * i) for i in range(1, 11))
    found = service_demand.estimate(quiet + busy, None)
    assert found is not None
    assert found.idle == pytest.approx(0.005)
    assert found.seconds == pytest.approx(0.009)


# Demand


def test_a_steady_load_uses_the_long_window() -> None:
    ticks = (*row(27, arrivals=98.0), *(tick(54.0 + 2 * i, arrivals=100.0) for i in (1, 2, 3)))
    found = demand.estimate(ticks, Forecasts())
    assert found.level == pytest.approx(windows.mean(ticks, "arrivals"))
    assert not found.burst


def test_a_burst_uses_only_the_newest_tick() -> None:
    ticks = (*row(29, arrivals=20.0), tick(60.0, arrivals=120.0))
    found = demand.estimate(ticks, Forecasts())
    assert (found.level, found.slope, found.burst) == (120.0, 0.0, True)


def test_noise_is_not_a_burst() -> None:
    ticks = (*row(29, arrivals=2.0), tick(60.0, arrivals=5.0))
    assert not demand.estimate(ticks, Forecasts()).burst


def test_a_ramp_has_a_slope_and_a_step_has_none() -> None:
    ramp = tuple(tick(2.0 * i, arrivals=500.0 + 10 * i) for i in range(1, 31))
    assert demand.estimate(ramp, Forecasts()).slope == pytest.approx(5.0, abs=2.5)
    step = tuple(tick(2.0 * i, arrivals=500.0 if i < 12 else 700.0) for i in range(1, 31))
    assert demand.estimate(step, Forecasts()).slope == 0.0


def test_noise_has_no_slope() -> None:
    # 100 requests a second vary by 7 in a tick of 2 s: this rises by less than that.
    ticks = tuple(tick(2.0 * i, arrivals=100.0 + 0.1 * i) for i in range(1, 31))
    assert demand.estimate(ticks, Forecasts()).slope == 0.0


def test_the_expected_demand_has_headroom_and_is_bounded() -> None:
    assert demand.Demand(100.0, 0.5, 0.1, burst=False).expected(35.0) == pytest.approx(129.25)
    assert demand.Demand(100.0, 50.0, 0.0, burst=False).expected(35.0) == 200.0


def test_headroom_is_the_recent_shortfall() -> None:
    forecasts = Forecasts(shortfalls=(0.0,) * 50 + (0.2,) * 10)
    assert demand.estimate(row(), forecasts).headroom == 0.2
    forecasts = Forecasts(shortfalls=(5.0,) * 60)
    assert demand.estimate(row(), forecasts).headroom == demand.MAX_HEADROOM
    assert demand.estimate(row(), Forecasts()).headroom == demand.FIRST_HEADROOM


def test_forecasts_are_compared_with_arrivals_less_chance() -> None:
    known = demand.Demand(100.0, 0.0, 0.1, burst=False)
    made = demand.record_forecast(Forecasts(), known, now=0.0, lead=3.0, hold=30.0)
    assert made.pending == ((3.0, 100.0),)
    assert demand.score_forecasts(made, row(3, arrivals=120.0), now=2.0) is made
    # 720 requests in 6 s are 120 +- 4.5 a second.
    settled = demand.score_forecasts(made, row(3, arrivals=120.0), now=6.0)
    assert settled.shortfalls == (pytest.approx(0.155, abs=0.001),)
    assert demand.score_forecasts(made, row(3, arrivals=80.0), now=6.0).shortfalls == (0.0,)


def test_running_workers_need_no_headroom() -> None:
    high, low = (demand.Demand(rate, 0.0, 0.0, burst=False) for rate in (100.0, 60.0))
    made = demand.record_forecast(Forecasts(), high, now=0.0, lead=3.0, hold=30.0)
    made = demand.record_forecast(made, low, now=20.0, lead=3.0, hold=30.0)
    assert made.pending == ((3.0, 100.0), (23.0, 100.0))
    made = demand.record_forecast(made, low, now=40.0, lead=3.0, hold=30.0)
    assert made.pending[-1] == (43.0, 60.0)


def test_the_level_is_the_longest_window_that_chance_allows() -> None:
    near = (*row(27, arrivals=96.0), *(tick(54.0 + 2 * i, arrivals=100.0) for i in (1, 2, 3)))
    assert demand.estimate(near, Forecasts()).level == pytest.approx(96.4)
    far = (*row(27, arrivals=70.0), *(tick(54.0 + 2 * i, arrivals=100.0) for i in (1, 2, 3)))
    # 600 requests in 6 s are 100 +- 4 a second: 92 is what two sigmas less would be.
    assert demand.estimate(far, Forecasts()).level == pytest.approx(91.8, abs=0.1)
    fallen = (*row(27, arrivals=160.0), *(tick(54.0 + 2 * i, arrivals=100.0) for i in (1, 2, 3)))
    assert demand.estimate(fallen, Forecasts()).level == pytest.approx(112.2, abs=0.1)


def test_clumped_arrivals_are_noisier_than_independent_ones() -> None:
    assert demand.noise(row()) == 1.0
    clumps = tuple(tick(2.0 * i, arrivals=114.0 if i % 2 else 86.0) for i in range(1, 31))
    assert demand.noise(clumps) == pytest.approx(28**2 / 2 / 100 * 2 / 2 * 2, rel=0.51)
    wild = tuple(tick(2.0 * i, arrivals=300.0 if i % 2 else 0.0) for i in range(1, 31))
    assert demand.noise(wild) == demand.MAX_NOISE


# Capacity


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


def test_certain_loop_time_excludes_chance() -> None:
    ticks = row(3, loop=6.4)
    assert windows.certain_loop(ticks, 0.02) == pytest.approx(6.4 - 2 * 0.02 * (640 / 6) ** 0.5)
    assert windows.certain_loop(ticks, None) == pytest.approx(6.4)


def test_the_p95_of_the_model_is_read_within_ten_percent() -> None:
    model = FleetModel(spec())
    model.run(60)
    assert len(BOUNDS) == 117
    # 96 % of the requests take up to 1.5 x 0.3 s of upstream, and 20 ms of loop.
    assert model.last.load.latency == pytest.approx(0.47, rel=0.1)
