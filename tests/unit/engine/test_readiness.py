"""The condition Ready: why an AIApi does not serve, and what to do."""

from typing import Any

import pytest
from engine_support.world import World

WAITING: dict[str, Any] = {"phase": "Pending", "podIP": ""}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"name": "app", "state": {"waiting": {"reason": reason, "message": message}}, **more}
    return {**WAITING, "containerStatuses": [state]}


async def ready_condition(world: World, **status: Any) -> dict[str, Any]:
    await world.tick()
    world.cache.put(world.cluster.add_pod("a-1", ready=False, **status))
    await world.tick()
    return world.condition("Ready")


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
async def test_an_image_that_cannot_be_pulled(reason: str) -> None:
    world = World(spec={"image": "registry.invalid/no:1"})
    ready = await ready_condition(world, **waiting(reason, "no such host"))
    assert (ready["status"], ready["reason"]) == ("False", "ImagePullFailed")
    for part in ("registry.invalid/no:1", "no such host", "spec.image", "imagePullSecret"):
        assert part in ready["message"]


async def test_the_default_image_is_a_matter_of_the_chart() -> None:
    world = World(spec={"app": "assistant.llm:app"})
    ready = await ready_condition(world, **waiting("ErrImagePull", "401 Unauthorized"))
    assert ready["message"].endswith(
        " cannot be pulled (401 Unauthorized). Set serviceImage and imagePullSecrets in the values"
        " of the operator's chart; the secrets must exist in this namespace."
    )


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


async def test_a_container_that_crash_loops() -> None:
    last = {"terminated": {"message": "permission denied: /data"}}
    ready = await ready_condition(
        World(), **waiting("CrashLoopBackOff", "back-off 10s", lastState=last)
    )
    assert ready["reason"] == "AppFailed"
    assert "permission denied: /data" in ready["message"]


async def test_an_unschedulable_pod() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "message": "0/3 nodes are available: 3 Insufficient cpu",
    }
    ready = await ready_condition(World(), **WAITING, conditions=[condition], containerStatuses=[])
    assert ready["reason"] == "Unschedulable"
    assert "Insufficient cpu" in ready["message"]
    assert "spec.workers.cpu" in ready["message"]


async def test_starting_pods_are_not_a_problem() -> None:
    ready = await ready_condition(World(), **waiting("ContainerCreating"))
    assert (ready["status"], ready["reason"]) == ("False", "PodsNotReady")
    assert ready["message"] == "0 of 2 pods are ready; the others are starting."


async def test_an_initially_invalid_spec_is_reported() -> None:
    schedule = {"start": "0 8 * * 1", "duration": "1h", "minReplicas": 4, "timeZone": "Mars/Phobos"}
    world = World(spec={"scaling": {"schedules": [schedule]}})
    await world.tick()
    ready, accepted = world.condition("Ready"), world.condition("Accepted")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert "see condition Accepted" in ready["message"]
    assert accepted["message"].startswith(
        "spec.scaling.schedules[0].timeZone: timeZone 'Mars/Phobos' is not in the IANA time zone"
    )
    assert world.cluster.events == [("InvalidSpec", accepted["message"])]


async def test_pods_rejected_by_a_quota() -> None:
    world = World()
    await world.tick()
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    edited = world.cluster.edit("Deployment", "a", {"status": {"conditions": [failure]}})
    world.cache.put(edited)
    await world.tick()
    ready = world.condition("Ready")
    assert ready["reason"] == "PodsRefused"
    assert "exceeded quota: small" in ready["message"]


async def test_a_problem_is_one_warning_event() -> None:
    world = World()
    await ready_condition(world, **waiting("ImagePullBackOff"))
    for _ in range(5):
        await world.tick()
    assert [reason for reason, _ in world.cluster.events] == ["ImagePullFailed"]
