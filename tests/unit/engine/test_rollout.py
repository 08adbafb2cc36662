"""The condition RolloutStuck: new pods that do not start while earlier pods serve."""

from typing import Any

import pytest
from engine_support.world import World

PULL = {
    "phase": "Pending",
    "podIP": "",
    "containerStatuses": [
        {
            "name": "app",
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}},
        }
    ],
}


def rolling(world: World, *, updated: int, replicas: int, **status: Any) -> None:
    """The Deployment's status in a rollout."""
    counts = {"updatedReplicas": updated, "replicas": replicas, "observedGeneration": 1}
    world.cache.put(world.cluster.edit("Deployment", "a", {"status": {**counts, **status}}))


async def serving() -> World:
    world = World(spec={"image": "shop:2"})
    await world.settle()
    return world


async def test_an_image_that_cannot_be_pulled_shows_while_the_old_pods_serve() -> None:
    world = await serving()
    rolling(world, updated=1, replicas=3)
    world.cache.put(world.cluster.add_pod("a-3", ready=False, **PULL))
    await world.tick()
    assert world.condition("Ready")["reason"] == "Serving"
    stuck = world.condition("RolloutStuck")
    assert (stuck["status"], stuck["reason"]) == ("True", "NewPodsFail")
    for part in ("shop:2", "not found", "1 of 2", "earlier pods serve", "rollout undo"):
        assert part in stuck["message"]
    assert ("RolloutStuck", stuck["message"]) in world.cluster.events


async def test_a_quota_that_has_no_room_for_a_surge() -> None:
    world = await serving()
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: exact"}
    rolling(world, updated=0, replicas=2, conditions=[failure])
    await world.tick()
    stuck = world.condition("RolloutStuck")
    assert (stuck["status"], stuck["reason"]) == ("True", "NewPodsRefused")
    for part in ("exceeded quota: exact", "maxSurge: 0", "maxUnavailable: 1"):
        assert part in stuck["message"]


async def test_a_rollout_beyond_its_deadline() -> None:
    world = await serving()
    late = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "a-5" has timed out progressing.',
    }
    rolling(world, updated=1, replicas=3, conditions=[late])
    await world.tick()
    stuck = world.condition("RolloutStuck")
    assert (stuck["status"], stuck["reason"]) == ("True", "DeadlineExceeded")
    assert "600 s" in stuck["message"]
    assert "progressDeadlineSeconds" in stuck["message"]


@pytest.mark.parametrize(("updated", "reason"), [(1, "RollingOut"), (2, "RolledOut")])
async def test_a_rollout_that_is_not_stuck(updated: int, reason: str) -> None:
    world = await serving()
    rolling(world, updated=updated, replicas=2)
    await world.tick()
    stuck = world.condition("RolloutStuck")
    assert (stuck["status"], stuck["reason"]) == ("False", reason)


async def test_a_pod_that_fails_without_a_rollout_is_a_matter_of_ready() -> None:
    world = await serving()
    rolling(world, updated=3, replicas=3)
    world.cache.put(world.cluster.add_pod("a-3", ready=False, **PULL))
    await world.tick()
    assert world.condition("RolloutStuck")["reason"] == "RolledOut"
