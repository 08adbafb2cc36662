"""Loads nobody has tuned the right-sizer for: its fleet follows the need up, and down again."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.simulate.generated_loads import (
    EXCESS,
    LOW,
    PERIOD,
    SHAPES,
    blocks,
    longest_excess,
    longest_run,
)

from aiapi_operator.simulate.compare import scale_to_workers, sizing_spec_for
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.scenario import Scenario
from aiapi_operator.simulate.traces import Floats, Trace
from aiapi_operator.sizing.state import Size

pytestmark = pytest.mark.property


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The operator and the oracle on one load."""

    truth: GroundTruth
    initial: Size
    own: RunResult
    oracle: RunResult

    @property
    def cost(self) -> float:
        return self.own.core_hours / self.oracle.core_hours

    @property
    def excess(self) -> int:
        return longest_excess(self.own, self.truth, self.initial)


def play(
    rates: Floats, *, peak: int, seed: int = 1, service: dict[str, object] | None = None
) -> Played:
    scenario = Scenario.model_validate({"service": service or {}})
    spec = sizing_spec_for(scenario, None, peak)
    counts = np.random.default_rng(seed).poisson(rates).astype(np.float64)
    trace = scale_to_workers(
        Trace(name="generated", counts=counts), scenario.service, spec.objective, peak, seed=seed
    )
    load = Workload(trace=trace, service=scenario.service, seed=seed)
    truth = GroundTruth(load, spec)
    own = catalogue.build("aiapi", truth, pod_workers=1)
    return Played(
        truth=truth,
        initial=own.initial_size,
        own=Simulation(load, spec, own).run(),
        oracle=Simulation(load, spec, catalogue.build("oracle", truth, pod_workers=1)).run(),
    )


def slow_ramp() -> Floats:
    rates = 20 + 100 * np.minimum(np.arange(3600.0), 2400) / 2400
    rates[3000:] = 20
    return rates


def slow_sawtooth() -> Floats:
    return 20 + 80 * (np.arange(3600.0) % 1200) / 1200


@pytest.mark.parametrize("rates", [slow_ramp(), slow_sawtooth()], ids=["ramp", "sawtooth"])
def test_a_slow_rise_does_not_ratchet(rates: Floats) -> None:
    """Was 1.28 x the oracle's cost, and 65 or 84 workers for a need of 25 or 7."""
    played = play(rates, peak=24)
    assert played.own.attainment_windows >= 0.99
    assert played.cost <= 1.2
    assert played.excess <= 60
    need = played.truth.need(played.truth.load.trace.peak_minute).total
    assert played.own.max_workers <= EXCESS * need + played.truth.spec.workers.max


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    shape=st.sampled_from(["ramp", "sawtooth", "reverse sawtooth"]),
    period=st.floats(*PERIOD),
    low=st.floats(*LOW),
    peak=st.integers(6, 24),
    start=st.integers(5, 60),
    seed=st.integers(1, 1000),
)
def test_a_fleet_is_not_much_larger_than_its_need_for_long(  # noqa: PLR0917 - drawn values
    shape: str, period: float, low: float, peak: int, start: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    relative = SHAPES[shape](np.arange(1800.0), float(blocks(min(period, 1800))), low, rng)
    service = {"pods": {"start": f"{start}s"}, "loop": {"mean": "50ms"}}
    played = play(100 * relative, peak=peak, seed=seed, service=service)
    assert played.excess <= 60


@given(
    shape=st.sampled_from(list(SHAPES)),
    period=st.floats(*PERIOD),
    low=st.floats(*LOW),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_rates_are_shares_of_the_peak(shape: str, period: float, low: float, seed: int) -> None:
    rates = SHAPES[shape](np.arange(3600.0), period, low, np.random.default_rng(seed))
    assert rates.shape == (3600,)
    assert rates.min() >= min(low, 0.5) - 1e-9
    assert rates.max() <= 1 + 1e-9


def test_the_longest_run_is_counted() -> None:
    assert longest_run(np.array([True, False, True, True, True, False, True])) == 3
    assert longest_run(np.zeros(5, dtype=np.bool_)) == 0
    assert longest_run(np.ones(5, dtype=np.bool_)) == 5
