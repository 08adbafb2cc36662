"""Usage: what ran, and the fleet that the answered requests needed."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts, learned, row

from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.decide import checkpoint, decide
from aiapi_operator.sizing.inputs import Fleet
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.learners.usage import LEARNER, Usage, learn, restore
from aiapi_operator.sizing.state import Outcome, Size, State, Tick

SURE = ServiceDemand(seconds=0.02, requests=5000)


def peak(
    ticks: tuple[Tick, ...], known: Usage | None = None, *, service: ServiceDemand = SURE
) -> Size | None:
    assumed = (service, UtilizationTarget(0.8))
    return learn(known, facts(ticks, user_spec=spec(), known=assumed)).peak


def busy(rate: float, count: int = 30, **changes: float) -> tuple[Tick, ...]:
    return row(count, **({"arrivals": rate, "completed": rate} | changes))


def test_time_and_workers_add_up() -> None:
    last = Outcome(time=0.0, size=Size(workers=3, replicas=4), replicas_before=4, need=None)
    found = learn(Usage(seconds=10.0), facts(now=2.0, last=last))
    assert (found.seconds, found.worker_seconds, found.pod_seconds) == (12.0, 24.0, 8.0)


@pytest.mark.parametrize(("bounds", "missed"), [((0.7, 0.79), False), ((0.81, 0.9), True)])
def test_a_percentile_over_the_threshold_counts_as_missed(
    bounds: tuple[float, float], missed: bool
) -> None:
    found = learned(learn, row(10, bounds=bounds))
    assert found is not None
    assert found.missing.on is missed


def test_the_worked_example() -> None:
    """600 answered per second x 20 ms / 0.8 are 15 workers; 12.6 must be left without a pod."""
    found = peak(busy(600.0))
    assert found is not None
    assert found.total >= 15
    assert found.workers * (found.replicas - 1) >= 12.6
    assert found.total <= 18


@pytest.mark.parametrize(
    "phantom",
    [
        pytest.param({"arrivals": 6000.0}, id="requests that nobody answers"),
        pytest.param({"arrivals": 6000.0, "shed": 5400.0}, id="requests that are shed"),
        pytest.param({"loop": 90.0, "workers": 100.0}, id="loop time without requests"),
        pytest.param({"completed": 6000.0, "server_errors": 5400.0}, id="requests that fail"),
        pytest.param({"completed": 6000.0, "cancelled": 5400.0}, id="clients that go away"),
    ],
)
def test_a_phantom_need_does_not_raise_the_baseline(phantom: dict) -> None:
    assert peak(busy(600.0, **phantom)) == peak(busy(600.0))


def test_a_minute_counts_not_a_moment() -> None:
    assert peak(busy(600.0, 26)) is None
    assert peak((*busy(20.0, 29), *row(1, start=58.0, arrivals=3e4, completed=600.0))) == peak(
        busy(20.0 + 580 / 30)
    )


def test_an_uncertain_service_demand_sets_no_baseline() -> None:
    assert peak(busy(600.0), service=replace(SURE, requests=30.0)) is None


def test_a_more_expensive_fleet_replaces_the_baseline() -> None:
    low = Usage(peak=Size(workers=1, replicas=2))
    high = Usage(peak=Size(workers=8, replicas=20))
    assert peak(busy(600.0), low) == peak(busy(600.0))
    assert peak(busy(600.0), high) == high.peak


def test_it_is_restored() -> None:
    known = Usage(
        seconds=7200.5, worker_seconds=2e4, pod_seconds=1e4, peak=Size(workers=4, replicas=3)
    )
    assert restore(LEARNER.checkpoint(known, {})) == replace(known, seconds=7200.0)
    assert restore(LEARNER.checkpoint(Usage(), {})) == Usage()


@pytest.mark.parametrize("value", [None, "", "many", -5, "nan", inf, [], {}])
def test_a_senseless_checkpoint_is_ignored(value: object) -> None:
    fields = ("observedSeconds", "workerSeconds", "podSeconds", "peakWorkers", "peakReplicas")
    assert restore(dict.fromkeys(fields, value)) == Usage()


@given(st.lists(st.floats(0, 1.7e308), min_size=2, max_size=5))
def test_the_totals_of_any_clock_can_be_written(times: list[float]) -> None:
    state, fleet = State(), Fleet(replicas=10**6, pods=(), workers=10**6)
    for now in sorted(times):
        state = decide(spec(), fleet, state, now).state
    assert all(isinstance(value, int) for value in checkpoint(state).values())


def test_a_fleet_adds_up_from_its_first_tick() -> None:
    model = FleetModel(spec())
    model.run(360)
    usage = model.state.memory[Usage]
    assert usage.seconds == pytest.approx(358)
    assert usage.worker_seconds == pytest.approx(2 * 358)


def test_a_retry_storm_does_not_raise_the_baseline() -> None:
    model = FleetModel(spec())
    model.rate = 60.0
    model.run(200)
    before = model.state.memory[Usage].peak
    model.outage, model.retries = True, 1
    model.run(120)
    model.outage = False
    model.run(60)
    assert model.state.memory[Usage].peak == before
