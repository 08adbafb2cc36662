"""Why an AIApi does not serve, and what to do about it."""

from typing import Any

import pytest
from engine_support.world import World

WAITING: dict[str, Any] = {"phase": "Pending", "podIP": ""}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"name": "app", "state": {"waiting": {"reason": reason, "message": message}}, **more}
    return {**WAITING, "containerStatuses": [state]}


async def told(world: World, **status: Any) -> dict[str, Any]:
    await world.tick()
    world.cache.put(world.cluster.add_pod("a-1", ready=False, **status))
    await world.tick()
    return world.condition("Ready")


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
async def test_an_image_that_cannot_be_pulled(reason: str) -> None:
    world = World(spec={"image": "registry.invalid/no:1"})
    ready = await told(world, **waiting(reason, "no such host"))
    assert (ready["status"], ready["reason"]) == ("False", "ImagePullFailed")
    for part in ("registry.invalid/no:1", "no such host", "spec.image", "imagePullSecret"):
        assert part in ready["message"]


async def test_an_app_that_does_not_import() -> None:
    world = World(spec={"app": "nosuch.main:app"})
    await world.tick()
    world.cache.put(world.cluster.add_pod("a-1", ready=False))
    world.answer("a-1", ready=False, failure="ModuleNotFoundError: No module named 'nosuch'")
    await world.engine.tick(world.state)
    ready = world.condition("Ready")
    assert ready["reason"] == "AppFailed"
    for part in ("nosuch.main:app", "No module named 'nosuch'", "spec.app", "kubectl logs"):
        assert part in ready["message"]


async def test_a_container_that_ends_again_and_again() -> None:
    last = {"terminated": {"message": "permission denied: /data"}}
    ready = await told(World(), **waiting("CrashLoopBackOff", "back-off 10s", lastState=last))
    assert ready["reason"] == "AppFailed"
    assert "permission denied: /data" in ready["message"]


async def test_no_node_can_take_a_pod() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "message": "0/3 nodes are available: 3 Insufficient cpu",
    }
    ready = await told(World(), **WAITING, conditions=[condition], containerStatuses=[])
    assert ready["reason"] == "Unschedulable"
    assert "Insufficient cpu" in ready["message"]
    assert "spec.workers.cpu" in ready["message"]


async def test_pods_that_start_are_no_trouble() -> None:
    ready = await told(World(), **waiting("ContainerCreating"))
    assert (ready["status"], ready["reason"]) == ("False", "PodsNotReady")
    assert ready["message"] == "0 of 2 pods are ready; the others are starting."


async def test_an_invalid_spec_from_the_start_is_told_at_once() -> None:
    schedule = {"start": "0 8 * * 1", "duration": "1h", "minReplicas": 4, "timeZone": "Mars/Phobos"}
    world = World(spec={"scaling": {"schedules": [schedule]}})
    await world.tick()
    ready, accepted = world.condition("Ready"), world.condition("Accepted")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert "see condition Accepted" in ready["message"]
    assert accepted["message"].startswith(
        "spec.scaling.schedules[0].timeZone: timeZone 'Mars/Phobos' is not in the time zone"
    )
    assert world.cluster.events == [("InvalidSpec", accepted["message"])]


async def test_pods_that_a_quota_forbids() -> None:
    world = World()
    await world.tick()
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    edited = world.cluster.edit("Deployment", "a", {"status": {"conditions": [failure]}})
    world.cache.put(edited)
    await world.tick()
    ready = world.condition("Ready")
    assert ready["reason"] == "PodsRefused"
    assert "exceeded quota: small" in ready["message"]


async def test_trouble_is_told_as_a_warning_once() -> None:
    world = World()
    await told(world, **waiting("ImagePullBackOff"))
    for _ in range(5):
        await world.tick()
    assert [reason for reason, _ in world.cluster.events] == ["ImagePullFailed"]
