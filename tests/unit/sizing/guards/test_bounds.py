"""The user's maximum."""

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.guards.bounds import guard
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.requirement import Requirements

SMALL = spec(workers=Bounds(min=2, max=4), replicas=Bounds(min=2, max=3))


@pytest.mark.parametrize(
    ("proposed", "requirements", "allowed"),
    [
        pytest.param((9, 9), needed(12.0), (4, 3), id="over both"),
        pytest.param((1, 1), needed(2.0), (2, 2), id="under both"),
        pytest.param((4, 3), needed(12.1), (4, 3), id="the largest fleet is too small"),
        pytest.param((4, 3), needed(12.0), None, id="the largest fleet suffices"),
        pytest.param((3, 2), needed(5.0), None, id="within the bounds"),
    ],
)
def test_the_bounds(
    proposed: tuple[int, int], requirements: Requirements, allowed: tuple[int, int] | None
) -> None:
    found = guard(size(*proposed), facts(row(), user_spec=SMALL), requirements)
    if allowed is None:
        assert found is None
        return
    assert found is not None
    assert (found.size, found.verdict) == (size(*allowed), Verdict.LIMITED)
    assert found.why == "the maximum is 3 pods x 4"
