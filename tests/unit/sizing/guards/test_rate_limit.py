"""No more new pods per minute than the user allows."""

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.guards.rate_limit import PodOrders, guard, learn
from aiapi_operator.sizing.state import Outcome

FOUR = spec(max_replicas_per_minute=4)
ONE = spec(max_replicas_per_minute=1)


def ordered(replicas: int, *, before: int, at: float = 58.0) -> Outcome:
    return Outcome(time=at, size=size(1, replicas), replicas_before=before, need=1.0)


@pytest.mark.parametrize(
    ("orders", "last", "proposed", "allowed"),
    [
        pytest.param((), None, 9, 6, id="a whole minute's"),
        pytest.param((), None, 6, None, id="as many as are allowed"),
        pytest.param(((10.0, 3),), None, 9, 3, id="three have been ordered"),
        pytest.param(((10.0, 3), (50.0, 9)), None, 9, 2, id="more than allowed were ordered"),
        pytest.param((), ordered(5, before=5), 12, 9, id="counted from pods on order"),
        pytest.param(((58.0, 4),), ordered(6, before=2), 6, None, id="an order is not limited"),
        pytest.param((), None, 1, None, id="pods are removed"),
    ],
)
def test_new_pods_are_limited(
    orders: tuple[tuple[float, int], ...],
    last: Outcome | None,
    proposed: int,
    allowed: int | None,
) -> None:
    known = [PodOrders(orders=orders)]
    now = facts(row(), user_spec=FOUR, running=size(1, 2), known=known, last=last)
    found = guard(size(1, proposed), now, needed(9.0))
    if allowed is None:
        assert found is None
        return
    assert found is not None
    assert (found.size, found.verdict) == (size(1, allowed), Verdict.LIMITED)
    assert found.why == "limited to 4 new pods per minute"


def test_one_pod_per_minute_is_singular() -> None:
    found = guard(size(1, 9), facts(row(), user_spec=ONE, running=size(1, 2)), needed(9.0))
    assert found is not None
    assert found.why == "limited to 1 new pod per minute"


def test_orders_count_for_a_minute() -> None:
    known = learn(None, facts(now=2.0, last=ordered(5, before=2, at=0.0)))
    assert known.orders == ((0.0, 3),)
    assert learn(known, facts(now=59.0)).orders == ((0.0, 3),)
    assert learn(known, facts(now=60.0)).orders == ()


@pytest.mark.parametrize("replicas", [2, 1])
def test_pods_that_stay_or_go_are_no_order(replicas: int) -> None:
    assert learn(None, facts(now=60.0, last=ordered(replicas, before=2))).orders == ()
