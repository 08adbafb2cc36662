"""The limit finds a worker's capacity, keeps it fast, and ignores slow dependencies."""

import pytest
from unit.limits.worker_model import WorkerModel

from aiapi_runtime.limits.adaptive import AdaptiveLimit, LimitWindow


@pytest.mark.slow
@pytest.mark.parametrize(("work", "wait"), [(0.003, 0.06), (0.005, 0.3), (0.02, 0.1), (0.005, 0.0)])
def test_under_five_times_its_capacity_a_worker_stays_fast_and_busy(work, wait):
    model = WorkerModel(AdaptiveLimit(), work=work, wait=wait)
    capacity = 1 / (work + model.refusal)
    calm = model.run(0.5 * capacity, 5)
    over = model.run(5 * capacity, 6)
    assert calm.refused == 0
    assert over.at(0.95) <= 2 * calm.at(0.95)
    assert len(over.latencies) / 6 >= 0.9 * capacity


def test_one_fast_window_does_not_become_the_base():
    model = WorkerModel(AdaptiveLimit(), work=0.001, wait=0.2, refusal=0.00003, varied=True)
    model.run(500, 5)
    over = model.run(1500, 6)
    assert len(over.latencies) / 6 >= 0.93 * 1000
    assert over.at(0.5) <= 0.3


def test_without_a_limit_the_worker_is_overloaded():
    model = WorkerModel(None)
    calm = model.run(100, 3)
    over = model.run(5 / model.work, 2)
    assert over.at(0.95) > 10 * calm.at(0.95)


@pytest.mark.slow
def test_a_lasting_overload_does_not_raise_the_limit():
    model = WorkerModel(AdaptiveLimit())
    model.run(100, 5)
    early = model.run(800, 5)
    late = model.run(800, 25, settle=0)
    assert late.at(0.5) == pytest.approx(early.at(0.5), rel=0.1)


def test_a_slow_dependency_does_not_cause_refusals():
    model = WorkerModel(AdaptiveLimit())
    model.run(100, 5)
    model.wait *= 20
    slow = model.run(100, 5, settle=3)
    assert slow.refused == 0
    assert model.limit.limit > 100 * model.wait


def test_load_that_fits_is_never_refused():
    model = WorkerModel(AdaptiveLimit())
    assert model.run(0.6 / model.work, 10, settle=0.5).refused == 0


def test_after_an_overload_all_are_admitted_again():
    model = WorkerModel(AdaptiveLimit())
    model.run(100, 3)
    model.run(1000, 3)
    assert model.run(150, 3, settle=3).refused == 0


def test_a_worker_that_was_never_calm_uses_its_lowest_latency_as_base():
    limit = AdaptiveLimit()
    for latency in (0.3, 0.2, 0.4):
        limit.update(LimitWindow(latency, answered=50, peak=32, busy=1.0))
    assert limit.base == 0.2


def test_a_window_with_few_responses_is_ignored():
    limit = AdaptiveLimit()
    limit.update(LimitWindow(5.0, answered=1, peak=30, busy=1.0))
    assert limit == AdaptiveLimit()


def test_the_limit_stays_within_its_bounds():
    limit = AdaptiveLimit(base=0.01)
    for _ in range(100):
        limit.update(LimitWindow(10.0, answered=10, peak=32, busy=1.0))
    assert limit.limit >= limit.minimum
    for _ in range(100):
        limit.update(LimitWindow(0.01, answered=10, peak=10**9, busy=0.1))
    assert limit.limit == limit.maximum
