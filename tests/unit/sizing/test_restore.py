"""A new operator goes on where the last one stopped, and no fleet shrinks for its start."""

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, spec

from aiapi_operator.sizing import restore
from aiapi_operator.sizing.restore import Left
from aiapi_operator.sizing.savings import savings
from aiapi_operator.sizing.state import Size


def test_savings_and_the_peak_go_on() -> None:
    model = FleetModel(spec())
    model.run(30)
    model.rate = 200.0
    model.run(40)
    model.rate = 20.0
    model.run(400)
    before = savings(model.spec, model.state.spend)
    model.state = restore.begin(restore.left(model.state))
    model.run(2)
    after = savings(model.spec, model.state.spend)
    assert before is not None
    assert after is not None
    assert after.baseline == before.baseline
    assert abs(after.percent - before.percent) < 1
    assert after.worker_seconds >= before.worker_seconds


def test_what_a_worker_requests_is_kept_at_the_start() -> None:
    model = FleetModel(spec(learn_resources=True))
    model.state = restore.begin(Left(worker_cpu=0.8, worker_memory=400 * 2**20, pod_lead=20.0))
    model.run(300)
    assert model.last.worker_cpu >= 0.8
    assert model.last.worker_memory == 400 * 2**20
    assert model.state.pod_lead == 20.0


def test_an_earlier_miss_of_the_objective_is_not_forgotten() -> None:
    model = FleetModel(spec())
    model.state = restore.begin(Left(correction=0.6))
    model.run(40)
    assert model.last.need.target_utilization <= 0.6


amounts = st.floats(allow_nan=True, allow_infinity=True)
left = st.builds(
    Left,
    seconds=amounts,
    worker_seconds=amounts,
    pod_seconds=amounts,
    peak=st.none()
    | st.builds(Size, workers=st.integers(-5, 10**6), replicas=st.integers(-5, 10**6)),
    worker_cpu=amounts,
    worker_memory=st.integers(-5, 10**18),
    pod_lead=st.none() | amounts,
    correction=amounts,
)


@settings(max_examples=30, deadline=None)
@given(left, st.floats(0, 300))
def test_whatever_was_left_the_first_decisions_keep_or_raise(found: Left, rate: float) -> None:
    model = FleetModel(spec(learn_resources=True), replicas=5, workers=3)
    model.rate = rate
    model.state = restore.begin(found)
    for _, decision in model.run(8):
        assert decision.workers >= 3
        assert decision.replicas >= 5
        assert 0.1 <= decision.worker_cpu <= 2.0
