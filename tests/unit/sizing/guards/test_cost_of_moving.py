"""The reason for pods that are more than needed, but whose removal would not pay yet."""

import pytest
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.guards.cost_of_moving import WHY, guard
from aiapi_operator.sizing.guards.stabilization import YOUNG
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.learners.need_history import NeedHistory
from aiapi_operator.sizing.requirement import Requirements

EXAMPLE = needed(0.8, 0.67)
SMALL_PODS = spec(workers=Bounds(min=1, max=2))


@pytest.mark.parametrize(
    ("requirements", "running", "reason"),
    [
        pytest.param(EXAMPLE, (1, 3), WHY, id="the worked example"),
        pytest.param(needed(2.0, 1.7), (1, 3), None, id="fewer pods need more workers"),
        pytest.param(needed(1.8, 0.9), (2, 3), WHY, id="fewer workers would do in either"),
        pytest.param(EXAMPLE, (1, 2), None, id="the user's minimum"),
        pytest.param(needed(0.8, min_replicas=3), (1, 3), None, id="a schedule's minimum"),
        pytest.param(needed(1.93, 0.9), (1, 3), None, id="within the tolerance of the next worker"),
        pytest.param(needed(4.5, 3.0), (2, 3), None, id="fewer pods cannot carry it"),
    ],
)
def test_pods_stay_while_a_move_does_not_pay(
    requirements: Requirements, running: tuple[int, int], reason: str | None
) -> None:
    now = facts(row(), user_spec=SMALL_PODS, running=size(*running), now=900.0)
    found = guard(size(*running), now, requirements)
    if reason is None:
        assert found is None
        return
    assert found is not None
    assert (found.size, found.verdict, found.why) == (size(*running), Verdict.STABILIZING, reason)


def test_a_proposal_that_moves_pods_needs_no_reason() -> None:
    now = facts(row(), running=size(1, 4))
    assert guard(size(1, 3), now, EXAMPLE) is None


def test_a_floor_of_workers_is_part_of_the_cost() -> None:
    # With 2 workers in each pod anyway, 2 pods x 2 carry what 3 pods x 1 do: 2.2 and 3.3 cores.
    now = facts(row(), running=size(2, 3), now=900.0)
    assert guard(size(2, 3), now, needed(2.0, 1.7, min_workers=2)) is not None


def test_right_after_a_start_the_window_is_the_reason() -> None:
    young = NeedHistory(running_replicas=((0.0, 3.0),))
    now = facts(row(), running=size(1, 3), known=[young])
    found = guard(size(1, 3), now, EXAMPLE)
    assert found is not None
    assert (found.verdict, found.why) == (Verdict.WARMING_UP, YOUNG)


def test_the_reason_is_reported_until_the_pods_go() -> None:
    model = FleetModel(spec(), replicas=4)
    model.run(320)
    model.rate = 30.0
    model.run(60)
    while model.last.replicas == model.replicas > 2 and model.now < 900:
        if model.last.verdict is Verdict.STABILIZING:
            assert WHY in model.last.message or "need has been lower" in model.last.message
        model.run(2)
    assert model.last.replicas <= 3
