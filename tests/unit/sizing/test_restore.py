"""A new operator continues from the checkpoint, and its start shrinks no fleet."""

import pytest
from aiapi_operator.sizing.restore import Checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.test_profile import any_profile

from aiapi_operator.sizing import demand, restore
from aiapi_operator.sizing.savings import savings
from aiapi_operator.sizing.state import Queueing, Size, State


@pytest.mark.property
def test_savings_and_the_peak_are_restored() -> None:
    model = FleetModel(spec())
    model.run(30)
    model.rate = 200.0
    model.run(40)
    model.rate = 20.0
    model.run(400)
    before = savings(model.spec, model.state.usage)
    model.state = restore.initial_state(restore.checkpoint_of(model.state))
    model.run(2)
    after = savings(model.spec, model.state.usage)
    assert before is not None
    assert after is not None
    assert after.baseline == before.baseline
    assert abs(after.percent - before.percent) < 1
    assert after.worker_seconds >= before.worker_seconds


def test_the_requests_of_a_worker_are_restored() -> None:
    model = FleetModel(spec(learn_resources=True))
    model.state = restore.initial_state(
        Checkpoint(worker_cpu=0.8, worker_memory=400 * 2**20, pod_lead=20.0)
    )
    model.run(300)
    assert model.last.worker_cpu >= 0.8
    assert model.last.worker_memory == 400 * 2**20
    assert model.state.pod_lead == 20.0


def test_the_queueing_factor_is_restored() -> None:
    assert restore.initial_state(Checkpoint(queueing=2.4)).queueing.factor == 2.4
    for nonsense in (0.0, 0.1, 50.0, float("nan")):
        assert restore.initial_state(Checkpoint(queueing=nonsense)).queueing == Queueing()
    assert restore.checkpoint_of(State()).queueing == 0.0, "nothing was learned yet"


def test_the_restored_service_demand_applies_until_enough_requests() -> None:
    model = FleetModel(spec())
    model.rate = 4.0
    model.run(60)
    found = restore.checkpoint_of(model.state)
    model.state = restore.initial_state(found)
    model.run(4)
    assert model.last.need.service_demand == found.service == pytest.approx(0.02, rel=0.05)
    assert "service demand dates from before the operator started" in model.last.message
    model.run(20)
    assert "before the operator started" not in model.last.message


def test_the_calm_base_latency_is_restored() -> None:
    """An upstream that is slow across an operator restart still counts as slow."""
    model = FleetModel(spec())
    model.run(60)
    calm = restore.checkpoint_of(model.state).base
    assert calm == pytest.approx(0.45, abs=0.05)
    model.state = restore.initial_state(restore.checkpoint_of(model.state))
    model.upstream = 0.6
    model.run(30)
    assert model.state.base is not None
    assert model.state.base.calm < 1.1 * calm
    assert model.state.base.current > 1.5 * calm
    turned = {one.type for one in model.last.conditions if one.status}
    assert "DependencyBound" in turned


def test_a_base_latency_of_another_percentile_is_ignored() -> None:
    model = FleetModel(spec())
    model.state = restore.initial_state(Checkpoint(base=0.1, percentile=50.0))
    model.run(30)
    assert model.state.base is not None
    assert model.state.base.percentile == 95
    assert model.state.base.calm > 0.3


def test_headroom_is_restored() -> None:
    state = restore.initial_state(Checkpoint(headroom=0.08))
    assert demand.learned_headroom(state.forecasts) == 0.08
    assert restore.checkpoint_of(state).headroom == 0.08


amounts = st.floats(allow_nan=True, allow_infinity=True)
left = st.builds(
    Checkpoint,
    seconds=amounts,
    worker_seconds=amounts,
    pod_seconds=amounts,
    peak=st.none()
    | st.builds(Size, workers=st.integers(-5, 10**6), replicas=st.integers(-5, 10**6)),
    worker_cpu=amounts,
    worker_memory=st.integers(-5, 10**18),
    pod_lead=st.none() | amounts,
    queueing=amounts,
    service=amounts,
    base=amounts,
    percentile=amounts,
    headroom=st.none() | amounts,
    profile=any_profile,
)


@settings(max_examples=30, deadline=None)
@given(left, st.floats(0, 300))
def test_with_any_checkpoint_the_first_decisions_keep_or_raise(
    found: Checkpoint, rate: float
) -> None:
    user_spec = spec(learn_resources=True, time_of_day=8.999 * 3600)
    model = FleetModel(user_spec, replicas=5, workers=3)
    model.rate = rate
    model.state = restore.initial_state(found)
    for _, decision in model.run(8):
        assert decision.workers >= 3
        assert decision.replicas >= 5
        assert 0.1 <= decision.worker_cpu <= 2.0
