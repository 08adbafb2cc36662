"""The condition Ready: why an AIApi does not serve, and what to do."""

from datetime import UTC, datetime
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
    await world.tick_now()
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
    assert ready["reason"] == "QuotaExceeded"
    assert "exceeded quota: small" in ready["message"]


async def test_a_problem_is_one_warning_event() -> None:
    world = World()
    await ready_condition(world, **waiting("ImagePullBackOff"))
    for _ in range(5):
        await world.tick()
    assert [reason for reason, _ in world.cluster.events] == ["ImagePullFailed"]


def failing(name: str, reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    """The status of a pod in which one container waits, and the app runs."""
    app = {"name": "app", "state": {"running": {}}, "ready": True}
    waits = {"reason": reason, "message": message}
    return {
        "podIP": "",
        "containerStatuses": [app, {"name": name, "state": {"waiting": waits}, **more}],
    }


def ended(reason: str, message: str = "", code: int = 1) -> dict[str, Any]:
    return {"terminated": {"reason": reason, "message": message, "exitCode": code}}


async def test_an_app_that_ran_out_of_memory() -> None:
    killed = ended("OOMKilled", code=137)
    ready = await ready_condition(
        World(), **waiting("CrashLoopBackOff", "back-off", lastState=killed)
    )
    assert ready["reason"] == "OOMKilled"
    for part in ("memory limit", "workers.memory", "workers.max"):
        assert part in ready["message"]


@pytest.mark.parametrize(
    ("detail", "reason", "advice"),
    [
        (
            'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2',
            "QuotaExceeded",
            "Raise the ResourceQuota",
        ),
        (
            'pods "p" is forbidden: failed quota: q: must specify limits.cpu for: app',
            "QuotaExceeded",
            "The operator sets no limits",
        ),
        (
            'pods "p" is forbidden: minimum memory usage per Container is 10Mi, but request is 1Mi',
            "LimitRangeExceeded",
            "workers.memory",
        ),
        (
            'Invalid value: "500m": must be less than or equal to cpu limit of 200m',
            "LimitRangeExceeded",
            "LimitRange",
        ),
        ('admission webhook "x" denied the request: no', "PodsRefused", "denied the request"),
    ],
)
async def test_pods_that_are_not_created(detail: str, reason: str, advice: str) -> None:
    world = World()
    await world.tick()
    failure = {"type": "ReplicaFailure", "status": "True", "message": detail}
    world.cache.put(world.cluster.edit("Deployment", "a", {"status": {"conditions": [failure]}}))
    await world.tick()
    ready = world.condition("Ready")
    assert ready["reason"] == reason
    assert detail in ready["message"]
    assert advice in ready["message"]


@pytest.mark.parametrize(
    ("message", "reason", "advice"),
    [
        (
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector",
            "NoMatchingNode",
            "nodeSelector",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: true}",
            "NoMatchingNode",
            "tolerations",
        ),
        (
            "0/1 nodes are available: 1 node(s) were unschedulable",
            "NodesCordoned",
            "kubectl uncordon",
        ),
        (
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {x: y}",
            "Unschedulable",
            "Add nodes",
        ),
    ],
)
async def test_pods_without_a_node(message: str, reason: str, advice: str) -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "message": message}
    ready = await ready_condition(World(), **WAITING, conditions=[scheduled])
    assert ready["reason"] == reason
    assert message in ready["message"]
    assert advice in ready["message"]


async def test_a_port_that_another_container_has() -> None:
    line = "Error: cannot listen on [::]:9000: Address already in use; choose another with --x"
    ready = await ready_condition(
        World(), **waiting("CrashLoopBackOff", "back-off", lastState=ended("Error", line))
    )
    assert ready["reason"] == "PortTaken"
    assert "Another container of the pod listens on port 9000" in ready["message"]


@pytest.mark.parametrize("kind", ["CrashLoopBackOff", "ErrImagePull"])
async def test_a_sidecar_that_does_not_run(kind: str) -> None:
    last = ended("Error", "no such upstream")
    ready = await ready_condition(World(), **failing("envoy", kind, lastState=last))
    assert ready["reason"] == "SidecarFailing"
    for part in ("envoy", "a-1", kind, "no such upstream", "kubectl logs -n shop a-1 -c envoy"):
        assert part in ready["message"]


async def starting(failure: str = "", *, seconds: float = 0.0) -> dict[str, Any]:
    """The condition while a pod whose app is ``shop.main:app`` starts."""
    world = World(spec={"app": "shop.main:app"}, now=1_800_000_000.0)
    await world.tick()
    began = datetime.fromtimestamp(world.now - seconds, tz=UTC).isoformat()
    state = {"name": "app", "state": {"running": {"startedAt": began}}}
    world.cache.put(world.cluster.add_pod("a-1", ready=False, containerStatuses=[state]))
    world.answer("a-1", ready=False, workers_ready=0, failure=failure)
    await world.tick_now()
    return world.condition("Ready")


async def test_an_import_that_does_not_end() -> None:
    assert (await starting(seconds=59.9))["reason"] == "PodsNotReady"
    for ready in (
        await starting(seconds=60),
        await starting("the import of shop.main:app takes longer than --start-limit"),
    ):
        assert ready["reason"] == "ImportNotFinished"
        for part in ("shop.main:app", "uvicorn.run()", "__main__", "lifespan"):
            assert part in ready["message"]


async def test_a_name_that_leads_to_no_app() -> None:
    failure = "aiapi_runtime.runtime.loading.NotCallableError: shop.main:app is of type str, not"
    ready = await starting(f"{failure} an ASGI app")
    assert ready["reason"] == "AppNotCallable"
    expected = "shop.main:app is of type str, not an ASGI app. Correct spec.app."
    assert ready["message"].endswith(expected)


async def test_an_app_that_starts_a_server_of_its_own() -> None:
    ready = await starting("SystemExit: 3")
    assert ready["reason"] == "ExitsOnImport"
    assert "uvicorn.run()" in ready["message"]
