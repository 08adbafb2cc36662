"""The user's floors."""

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.samples import facts

from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.needs.floor import need


@pytest.mark.parametrize(
    ("workers", "replicas", "min_replicas", "reason"),
    [
        (1, 2, 2, "workers.min 1 x replicas.min 2"),
        (3, 4, 4, "workers.min 3 x replicas.min 4"),
        (1, 0, 1, "workers.min 1 x replicas.min 0"),
    ],
)
def test_the_users_floors(workers: int, replicas: int, min_replicas: int, reason: str) -> None:
    floors = spec(workers=Bounds(min=workers, max=8), replicas=Bounds(min=replicas, max=20))
    found = need(facts(user_spec=floors), 3.0)
    assert (found.binding, found.reason) == (Binding.FLOOR, reason)
    assert (found.min_workers, found.min_replicas) == (workers, min_replicas)
    assert found.asks == workers * min_replicas
