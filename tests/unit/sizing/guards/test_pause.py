"""Paused: the fleet stays as it is."""

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.guards.pause import guard
from aiapi_operator.sizing.inputs import Mode


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.RECOMMEND])
def test_other_modes_allow_every_fleet(mode: Mode) -> None:
    assert guard(size(8, 9), facts(row(), user_spec=spec(mode=mode)), needed(9.0)) is None


@pytest.mark.parametrize("proposed", [size(8, 9), size(1, 1), size(3, 5)])
def test_a_paused_fleet_stays_as_it_runs(proposed: object) -> None:
    now = facts(row(), user_spec=spec(mode=Mode.PAUSED), running=size(3, 5))
    found = guard(proposed, now, needed(9.0))
    assert found is not None
    assert (found.size, found.verdict) == (size(3, 5), Verdict.PAUSED)
    assert found.why == "paused by spec.scaling.mode"
