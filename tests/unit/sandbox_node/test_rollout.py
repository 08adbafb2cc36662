"""Rollout arithmetic."""

from typing import Any

import pytest

from aiapi_sandbox.controllers import rollout
from aiapi_sandbox.controllers.disruption import desired_healthy


def deployment(replicas: int, surge: int | str = "25%", unavailable: int | str = "25%") -> Any:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return {"spec": {"replicas": replicas, "strategy": strategy}}


def replica_set(name: str, wanted: int, available: int | None = None, desired: int = 0) -> Any:
    annotations = {rollout.DESIRED: str(desired)} if desired else {}
    return {
        "metadata": {"name": name, "creationTimestamp": name, "annotations": annotations},
        "spec": {"replicas": wanted},
        "status": {"availableReplicas": wanted if available is None else available},
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "most", "least"),
    [
        (4, "25%", "25%", 5, 3),
        (3, "25%", "25%", 4, 3),
        (1, "25%", "25%", 2, 1),
        (10, 2, 0, 12, 10),
        (3, 0, 0, 3, 2),
        (2, 0, 5, 2, 0),
        (0, "25%", "25%", 0, 0),
    ],
)
def test_limits(
    replicas: int, surge: int | str, unavailable: int | str, most: int, least: int
) -> None:
    limits = rollout.rollout_limits(deployment(replicas, surge, unavailable))
    assert (limits.max_pods, limits.min_available) == (most, least)


def test_the_new_replica_set_scales_up_within_the_surge() -> None:
    limits = rollout.rollout_limits(deployment(4))
    assert rollout.scale_up_new(limits, None, [replica_set("a", 4)]) == 1
    assert rollout.scale_up_new(limits, replica_set("b", 1), [replica_set("a", 4)]) == 1
    assert rollout.scale_up_new(limits, replica_set("b", 1), [replica_set("a", 2)]) == 3


def test_old_replica_sets_scale_down_only_with_enough_available_pods() -> None:
    limits = rollout.rollout_limits(deployment(4, 1, 0))
    new, old = replica_set("b", 1, available=0), replica_set("a", 4)
    assert rollout.scale_down_old(limits, new, [old]) == {"a": 4}
    assert rollout.scale_down_old(limits, replica_set("b", 1), [old]) == {"a": 3}


def test_unavailable_old_pods_are_removed_first() -> None:
    limits = rollout.rollout_limits(deployment(4, 1, 1))
    broken, good = replica_set("a", 1, available=0), replica_set("b", 3)
    new = replica_set("c", 1, available=0)
    assert rollout.scale_down_old(limits, new, [good, broken]) == {"a": 0, "b": 3}


@pytest.mark.parametrize("replicas", range(1, 12))
@pytest.mark.parametrize(("surge", "unavailable"), [("25%", "25%"), (1, 0), (0, 1), ("100%", 0)])
def test_a_rollout_completes_within_its_limits(
    replicas: int, surge: int | str, unavailable: int | str
) -> None:
    limits = rollout.rollout_limits(deployment(replicas, surge, unavailable))
    old, new = replica_set("a", replicas), replica_set("b", 0)
    for _ in range(4 * replicas + 4):
        size = rollout.scale_up_new(limits, new, [old])
        if size != rollout.desired_replicas(new):
            new = replica_set("b", size, available=rollout.available_replicas(new))
        else:
            old = replica_set("a", rollout.scale_down_old(limits, new, [old]).get("a", 0))
        assert rollout.total_replicas([old, new]) <= limits.max_pods
        assert (
            rollout.available_replicas(old) + rollout.available_replicas(new)
            >= limits.min_available
        )
        new = replica_set("b", rollout.desired_replicas(new))
    assert (rollout.desired_replicas(old), rollout.desired_replicas(new)) == (0, replicas)


def test_scaling_during_a_rollout_is_proportional() -> None:
    limits = rollout.rollout_limits(deployment(20, 0, 1))
    sets = [replica_set("a", 6, desired=10), replica_set("b", 4, desired=10)]
    assert rollout.is_scaling_event(limits, sets)
    sizes = rollout.scale_proportionally(limits, sets[1], [sets[0]])
    assert sizes == {"a": 12, "b": 8}


def test_a_single_replica_set_gets_all_replicas() -> None:
    limits = rollout.rollout_limits(deployment(7))
    only = replica_set("a", 3, desired=3)
    assert rollout.scale_proportionally(limits, only, []) == {"a": 7}
    assert rollout.scale_proportionally(limits, replica_set("a", 0), []) == {"a": 7}


@pytest.mark.parametrize(
    ("spec", "expected", "healthy"),
    [
        ({"maxUnavailable": 1}, 3, 2),
        ({"maxUnavailable": "50%"}, 3, 1),
        ({"minAvailable": 2}, 3, 2),
        ({"minAvailable": "50%"}, 3, 2),
        ({"maxUnavailable": 5}, 3, 0),
    ],
)
def test_desired_healthy(spec: dict[str, Any], expected: int, healthy: int) -> None:
    assert desired_healthy({"spec": spec}, expected) == healthy
