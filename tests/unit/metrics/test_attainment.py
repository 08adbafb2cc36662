"""Requests within the objective, from counters that start at zero with each pod."""

from engine_support.samples import sample

from aiapi_operator.metrics.attainment import Attainment, below
from aiapi_operator.sizing.inputs import Histogram, PodSample


def pod(count: int, *, name: str = "a", instance: str = "1") -> PodSample:
    latency = Histogram(bounds=(0.1, 1.0), counts=(count, 0, count), sum=1.0)
    return sample(name, instance=instance, latency=latency, succeeded=2 * count)


def test_only_the_increase_counts() -> None:
    attainment = Attainment()
    first = attainment.since([pod(100)], 1.0)
    assert (first.measured, first.within, first.outcomes["success"]) == (0, 0, 0)
    more = attainment.since([pod(103)], 1.0)
    assert (more.measured, more.within, more.outcomes["success"]) == (6, 3, 6)


def test_a_restart_counts_nothing_twice_and_nothing_negative() -> None:
    attainment = Attainment()
    attainment.since([pod(100)], 1.0)
    assert attainment.since([pod(2, instance="2")], 1.0).measured == 0
    assert attainment.since([pod(3, instance="2")], 1.0).measured == 2


def test_a_silent_pod_counts_when_it_answers_again() -> None:
    attainment = Attainment()
    attainment.since([pod(1), pod(1, name="b")], 1.0)
    attainment.since([pod(1)], 1.0)
    assert attainment.since([pod(1), pod(4, name="b")], 1.0).measured == 6
    for _ in range(61):
        attainment.since([pod(1)], 1.0)
    assert attainment.since([pod(1), pod(9, name="b")], 1.0).measured == 0


def test_a_changed_objective_starts_over() -> None:
    attainment = Attainment()
    attainment.since([pod(1)], 1.0)
    assert attainment.since([pod(5)], 0.05).within == 0
    assert attainment.since([pod(7)], 0.05).within == 1.0


def test_a_threshold_within_a_bucket_is_interpolated() -> None:
    histogram = Histogram(bounds=(0.1, 0.3), counts=(10, 20, 5), sum=1.0)
    assert below(histogram, 0.2) == 20.0
    assert below(histogram, 9.0) == 30.0


def test_failed_requests_miss_the_objective_although_no_latency_is_measured() -> None:
    """190 of 190 responses are 500."""
    attainment = Attainment()
    attainment.since([sample("a")], 1.0)
    found = attainment.since([sample("a", server_errors=190)], 1.0)
    assert (found.measured, found.within) == (190, 0)
    assert found.failed == {"server_error": 190, "cancelled": 0, "shed": 0}


def test_a_cancelled_request_misses_it_only_where_the_service_is_the_cause() -> None:
    attainment = Attainment()
    attainment.since([sample("a")], 1.0)
    left = attainment.since([sample("a", cancelled=4, client_errors=9)], 1.0)
    assert (left.measured, left.failed["cancelled"], left.outcomes["cancelled"]) == (0, 0, 4)
    again = attainment.since([sample("a", cancelled=9, shed=2)], 1.0, counts_cancelled=True)
    assert (again.measured, again.failed) == (7, {"server_error": 0, "cancelled": 5, "shed": 2})
