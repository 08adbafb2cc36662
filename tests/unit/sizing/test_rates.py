"""From counters to rates: unknown pods, restarts, duplicates, leaving pods."""

from dataclasses import replace

import pytest
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import pod

from aiapi_operator.sizing import rates, windows
from aiapi_operator.sizing.inputs import Fleet, Histogram, PodSample, PodUnknown
from aiapi_operator.sizing.state import State, Tick

Pods = tuple[PodSample | PodUnknown, ...]


def seen(pods: Pods, *, now: float = 100.0) -> rates.FleetSamples:
    return rates.validate(Fleet(replicas=9, pods=pods), now=now, interval=2.0)


def measured(before: Pods, after: Pods) -> Tick:
    """The tick between two samples of a fleet, 2 s apart, from 100 s on."""
    found = unmeasured(before, after)
    assert found is not None
    return found


def unmeasured(before: Pods, after: Pods) -> Tick | None:
    samples = rates.measure(seen(before), State(), now=100.0).samples
    return rates.measure(seen(after, now=102.0), State(now=100.0, samples=samples), now=102.0).tick


def test_growth_in_flight_counts_as_arrivals() -> None:
    found = measured((pod(100.0),), (pod(102.0, succeeded=150, in_flight=10),))
    assert (found.completed, found.arrivals) == (25.0, 28.0)


def test_a_growing_accept_queue_counts_as_arrivals() -> None:
    found = measured((pod(100.0),), (pod(102.0, accept_queue_depth=30),))
    assert (found.completed, found.arrivals) == (0.0, 15.0)


def test_requests_that_were_shed_are_arrivals() -> None:
    found = measured((pod(100.0),), (pod(102.0, succeeded=120, shed=60),))
    assert (found.completed, found.shed, found.arrivals) == (10.0, 30.0, 40.0)


def test_responses_count_by_outcome() -> None:
    ended = {"succeeded": 110, "client_errors": 20, "server_errors": 30, "cancelled": 40}
    found = measured((pod(100.0),), (pod(102.0, **ended),))
    assert found.completed == 50.0
    assert (found.server_errors, found.cancelled) == (15.0, 20.0)


def test_seconds_become_seconds_per_second() -> None:
    spent = {
        "loop_seconds": 2.0,
        "worker_seconds": 104.0,
        "upstream_seconds": 9.0,
        "cpu_seconds": 1.8,
        "in_flight_seconds": 10.0,
        "cpu_throttled_seconds": 0.5,
    }
    found = measured((pod(100.0),), (pod(102.0, **spent),))
    assert (found.loop, found.workers, found.busiest) == (0.5, 2.0, 0.25)
    assert (found.upstream, found.cpu, found.in_flight) == (4.5, 0.4, 5.0)
    assert found.throttled == 0.25


def test_a_silent_pod_is_counted_as_the_mean_of_the_others() -> None:
    before = (pod(100.0, "a"), pod(100.0, "b"), pod(100.0, "c"))
    silent = PodUnknown(pod="c", ready=True, reason="timeout")
    after = (pod(102.0, "a", succeeded=156), pod(102.0, "b", succeeded=164), silent)
    assert measured(before, after).arrivals == pytest.approx((28 + 32) * 3 / 2)


def test_a_silent_pod_that_is_not_ready_is_not_counted() -> None:
    silent = PodUnknown(pod="c", ready=False, reason="starting")
    found = measured((pod(100.0),), (pod(102.0, succeeded=150), silent))
    assert found.completed == 25.0


def test_a_pod_that_is_not_ready_any_more_still_counts() -> None:
    after = (pod(102.0, "a", succeeded=150), pod(102.0, "b", succeeded=120, ready=False))
    found = measured((pod(100.0, "a"), pod(100.0, "b")), after)
    assert found.completed == 35.0


def test_a_pod_that_answers_again_causes_no_spike() -> None:
    kept = rates.measure(seen((pod(100.0),)), State(), now=100.0).samples
    silent = seen((PodUnknown(pod="a", ready=True, reason=""),), now=110.0)
    unknown = rates.measure(silent, State(now=100.0, samples=kept), now=110.0)
    assert unknown.tick is None
    back = seen((pod(120.0, succeeded=300),), now=120.0)
    found = rates.measure(back, State(now=118.0, samples=unknown.samples), now=120.0).tick
    assert found is not None
    assert found.completed == 10.0


def test_a_new_instance_counts_from_its_own_start() -> None:
    young = pod(102.0, instance="two", succeeded=10, in_flight=0, worker_seconds=10.0)
    found = measured((pod(100.0),), (young,))
    assert found.completed == pytest.approx(10 / 5.0), "10 worker seconds of 2 workers are 5 s"


def test_a_counter_that_went_back_is_a_new_instance() -> None:
    back = pod(102.0, succeeded=10, in_flight=0, worker_seconds=10.0)
    assert measured((pod(100.0),), (back,)).completed == pytest.approx(2.0)


def test_a_counter_that_goes_back_without_a_restart_has_no_rate() -> None:
    """A restart begins a new uptime; with the same one, the numbers are wrong."""
    back = pod(102.0, succeeded=10, in_flight=0, worker_seconds=10.0, uptime=52.0)
    assert unmeasured((pod(100.0, uptime=50.0),), (back,)) is None


def test_a_counter_that_went_back_with_the_uptime_is_a_new_instance() -> None:
    back = pod(102.0, succeeded=10, in_flight=0, worker_seconds=10.0, uptime=1.5)
    assert measured((pod(100.0, uptime=50.0),), (back,)).completed == pytest.approx(2.0)


def test_a_pod_that_repeats_its_last_answer_is_unknown() -> None:
    """The same uptime later: a cache, or a pod that hangs. Zero requests were not measured."""
    last = rates.measure(seen((pod(100.0, uptime=50.0),)), State(), now=100.0).samples
    fleet = Fleet(pods=(pod(102.0, uptime=50.0),), replicas=1)
    found = rates.validate(fleet, now=102.0, interval=2.0, last=last)
    assert found.all_unknown
    assert [each.reason for each in found.unknown] == ["its answer is an old one"]
    assert rates.validate(replace(fleet, pods=(pod(102.0, uptime=52.0),)), now=102.0,
                          interval=2.0, last=last).unknown == ()  # fmt: skip


def test_counters_that_go_back_and_return_cause_no_burst() -> None:
    """The last good answer stays the one to compare with, for a minute."""
    kept = rates.measure(seen((pod(100.0, uptime=50.0),)), State(), now=100.0).samples
    wrong = Fleet(pods=(pod(102.0, uptime=52.0, succeeded=3),), replicas=1)
    found = rates.validate(wrong, now=102.0, interval=2.0, last=kept)
    assert [each.reason for each in found.unknown] == ["its counters went back"]
    kept = rates.measure(found, State(now=100.0, samples=kept), now=102.0).samples
    right = Fleet(pods=(pod(104.0, uptime=54.0, succeeded=140),), replicas=1)
    known = rates.validate(right, now=104.0, interval=2.0, last=kept)
    tick = rates.measure(known, State(now=102.0, samples=kept), now=104.0).tick
    assert tick is not None
    assert tick.completed == 10.0


def test_counters_that_stay_lower_for_a_minute_are_the_new_ones() -> None:
    kept = rates.measure(seen((pod(100.0, uptime=50.0),)), State(), now=100.0).samples
    later = Fleet(pods=(pod(161.0, uptime=111.0, succeeded=3),), replicas=1)
    assert rates.validate(later, now=161.0, interval=2.0, last=kept).unknown == ()


def test_a_sample_that_was_used_before_is_not_a_repeated_answer() -> None:
    """Large fleets are scraped in parts: in between, the last sample stands."""
    last = rates.measure(seen((pod(100.0, uptime=50.0),)), State(), now=100.0).samples
    fleet = Fleet(pods=(pod(100.0, uptime=50.0),), replicas=1)
    assert rates.validate(fleet, now=102.0, interval=2.0, last=last).unknown == ()


def test_an_old_instance_seen_for_the_first_time_has_no_rate() -> None:
    assert unmeasured((), (pod(102.0, worker_seconds=5000.0),)) is None


@pytest.mark.parametrize(("worker_seconds", "counts"), [(20.0, True), (20.2, False), (5e3, False)])
def test_an_instance_older_than_ten_seconds_seen_for_the_first_time_has_no_rate(
    worker_seconds: float, counts: bool
) -> None:
    found = unmeasured((), (pod(102.0, worker_seconds=worker_seconds),))
    assert (found is not None) is counts


@pytest.mark.parametrize(("seconds", "counts"), [(0.09, False), (0.1, True)])
def test_samples_less_than_a_tenth_of_a_second_apart_are_one(seconds: float, counts: bool) -> None:
    first, later = pod(0.0), pod(seconds, succeeded=110)
    samples = rates.measure(seen((first,), now=0.0), State(), now=0.0).samples
    found = rates.measure(seen((later,), now=2.0), State(now=0.0, samples=samples), now=2.0)
    assert (found.tick is not None) is counts
    assert found.samples[0] is (later if counts else first), "the older one is kept"


@pytest.mark.parametrize(
    ("silent", "ready", "few"), [(0, 1, True), (1, 49, False), (1, 50, True), (2, 99, False)]
)
def test_one_of_fifty_ready_pods_may_be_silent(silent: int, ready: int, few: bool) -> None:
    unknown = [PodUnknown(pod=f"s{i}", ready=True, reason="timeout") for i in range(silent)]
    answers = [pod(100.0, f"a{i}") for i in range(ready - silent)]
    assert seen((*unknown, *answers)).mostly_known is few


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
    found = seen((pod(100.0, **broken), pod(100.0, "b")))
    assert [each.pod for each in found.samples] == ["b"]
    assert [each.reason for each in found.unknown] == ["invalid counters"]
    assert seen((pod(100.0, **broken),)).all_unknown


@pytest.mark.parametrize("at", [89.0, 103.0, float("nan")])
def test_a_stale_sample_makes_its_pod_unknown(at: float) -> None:
    assert [each.reason for each in seen((pod(at),)).unknown] == ["stale sample"]


@pytest.mark.parametrize("at", [90.0, 102.0])
def test_a_sample_of_the_last_ticks_is_used(at: float) -> None:
    assert not seen((pod(at),)).unknown


def test_a_duplicate_pod_counts_once_and_silence_wins() -> None:
    silent = PodUnknown(pod="a", ready=False, reason="timeout")
    for pods in ((pod(100.0), silent), (silent, pod(100.0))):
        found = seen(pods)
        assert (found.samples, found.ready) == ((), 1)
    for pods in ((1, 2), (2, 1)):
        twice = tuple(pod(98.0 + each, succeeded=each) for each in pods)
        assert [sample.succeeded for sample in seen(twice).samples] == [2]


def test_latencies_with_other_bounds_are_excluded() -> None:
    other = Histogram(bounds=(0.5,), counts=(9, 9), sum=0.0)
    before = (pod(100.0, "a"), pod(100.0, "b", latency=other))
    grown = Histogram(bounds=(0.1, 1.0), counts=(1, 4, 0), sum=0.0)
    more = Histogram(bounds=(0.5,), counts=(10, 10), sum=0.0)
    found = measured(before, (pod(102.0, "a", latency=grown), pod(102.0, "b", latency=more)))
    assert (found.bounds, list(found.counts)) == ((0.1, 1.0), [0, 3, 0])


def test_the_fullest_pod_sets_the_busiest_loop() -> None:
    after = (
        pod(102.0, "a", loop_seconds=1.4, worker_seconds=104.0),
        pod(102.0, "b", loop_seconds=4.2, worker_seconds=104.0),
    )
    found = measured((pod(100.0, "a"), pod(100.0, "b")), after)
    assert found.busiest == pytest.approx(0.8)
    assert 1 < found.uneven < 2
    assert found.heaviest == pytest.approx(found.uneven * found.loop / 2)


def test_a_removed_pod_stays_in_the_window() -> None:
    model = FleetModel(spec())
    model.run(60)
    del model.pods[1]
    model.run(2)
    assert windows.mean(model.state.ticks, "arrivals") == pytest.approx(20, rel=0.05)


def test_of_two_ready_pods_the_larger_size_counts() -> None:
    pods = (
        pod(100.0, "a", workers_wanted=3),
        pod(100.0, "b", workers_wanted=2),
        pod(100.0, "c", workers_wanted=9, ready=False),
    )
    assert seen(pods).workers_wanted == 3
    assert seen(()).workers_wanted is None
