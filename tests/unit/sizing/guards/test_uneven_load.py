"""Pods with more load than the others keep the workers that they need."""

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, row, tick

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.guards.uneven_load import guard


@pytest.mark.parametrize(
    ("heaviest", "proposed", "allowed"),
    [
        pytest.param(2.0, 1, 2, id="the worked example"),
        pytest.param(1.0, 1, None, id="their load fits one worker"),
        pytest.param(3.9, 1, 3, id="never more than run"),
        pytest.param(2.0, 2, None, id="the proposal suffices"),
        pytest.param(5.0, 3, None, id="nothing is removed"),
    ],
)
def test_workers_stay_for_the_pods_with_the_most_load(
    heaviest: float, proposed: int, allowed: int | None
) -> None:
    ticks = row(loop=6.0, heaviest=heaviest)
    now = facts(ticks, running=size(3, 4))
    found = guard(size(proposed, 4), now, needed(6.0))
    if allowed is None:
        assert found is None
        return
    assert found is not None
    assert (found.size, found.verdict) == (size(allowed, 4), Verdict.STABILIZING)
    assert found.why == "workers scale down once the load is even across pods"


def test_one_uneven_tick_is_chance() -> None:
    ticks = (*row(29, loop=6.0, heaviest=1.0), tick(60.0, loop=6.0, heaviest=3.0))
    assert guard(size(1, 4), facts(ticks, running=size(3, 4)), needed(6.0)) is None
