"""The API server is down while activators hold requests."""

from collections.abc import Iterator

import pytest
from e2e_support.activators import Activators
from e2e_support.zero import Zero, lost

HELD = 10
DOWN = {"action": "close"}


@pytest.fixture
def cut_off(request: pytest.FixtureRequest, activators: Activators) -> Iterator[Activators]:
    """Activators with a fault proxy between them and the API server."""
    with activators.behind_proxies(request.config.getoption("--image")):
        yield activators


@pytest.mark.long_zero
def test_requests_wait_for_the_api_server(zero: Zero, cut_off: Activators) -> None:
    zero.deploy()
    zero.put_to_zero()
    cut_off.suffer(DOWN)
    client = zero.send({"at": 0, "count": HELD})
    key = f"{zero.cluster.kubectl.namespace}/{zero.name}"
    cut_off.wait_holding(key, HELD)
    cut_off.suffer()
    assert lost(client.results()) == []


@pytest.mark.long_zero
def test_at_the_deadline_the_reason_is_told(zero: Zero, cut_off: Activators) -> None:
    cut_off.set_env(AIAPI_ACTIVATOR_HOLD_SECONDS="8")
    zero.deploy()
    zero.put_to_zero()
    cut_off.suffer(DOWN)
    results = zero.send({"at": 0, "count": HELD}).results()
    assert {each.status for each in results} == {504}
    assert all("No pod took the request within 8 s: " in each.body for each in results), results[0]
    assert all(7.5 < each.seconds < 10 for each in results)
    cut_off.suffer()
    assert lost(zero.send().results()) == []
