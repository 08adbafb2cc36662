"""Many requests that arrive together at zero."""

import pytest
from e2e_support.activators import Activators
from e2e_support.zero import Zero, lost

HELD = "AIAPI_ACTIVATOR_HELD_REQUESTS"


def test_200_requests_at_zero_are_answered(zero: Zero) -> None:
    _together(zero, 200)


@pytest.mark.long_zero
def test_1000_requests_at_zero_are_answered(zero: Zero) -> None:
    _together(zero, 1000)


def _together(zero: Zero, count: int) -> None:
    zero.deploy(import_seconds=2)
    zero.put_to_zero()
    results = zero.send({"at": 0, "count": count}).results()
    assert lost(results) == []
    assert len(results) == count


@pytest.mark.long_zero
def test_what_exceeds_the_bound_may_try_again(zero: Zero, activators: Activators) -> None:
    activators.set_env(**{HELD: "50"})
    try:
        zero.deploy(import_seconds=4)
        zero.put_to_zero()
        results = zero.send({"at": 0, "count": 1000}).results()
    finally:
        activators.set_env(**{HELD: "1000"})
    refused = lost(results)
    assert len(results) - len(refused) == 100, "each of two activators holds 50"
    assert {each.status for each in refused} == {503}
    assert all(int(each.retry_after) > 0 for each in refused)
