"""A pod that never becomes ready: the requests that wait for it end with the reason."""

import pytest
from e2e_support.activators import Activators
from e2e_support.zero import Zero

HOLD = "AIAPI_ACTIVATOR_HOLD_SECONDS"


@pytest.mark.long_zero
def test_held_requests_name_the_condition(zero: Zero, activators: Activators) -> None:
    activators.set_env(**{HOLD: "12"})
    try:
        zero.deploy()
        zero.put_to_zero()
        zero.change(env=[{"name": "IMPORT_SECONDS", "value": "3600"}])
        results = zero.send({"at": 2, "count": 10}).results()
    finally:
        activators.set_env(**{HOLD: "300"})
    assert {each.status for each in results} == {503}
    assert all("condition Ready is False, " in each.body for each in results), results[0]
    assert all(11.5 < each.seconds < 14 for each in results)
    assert all(int(each.retry_after) > 0 for each in results)
