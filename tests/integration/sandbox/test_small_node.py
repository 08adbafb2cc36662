"""A node of two cores: full, cordoned, with quotas, and with containers that need more memory."""

import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Kubectl

SLEEP = ("sleep", "600")
GROW = "import time; time.sleep(1); held = bytearray({megabytes} << 20); time.sleep(600)"


@pytest.fixture(scope="module")
def small_node(tmp_path_factory: pytest.TempPathFactory, launch: Any) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("small")
    process = launch(folder, "--cpu", "2", "--memory", "4Gi")
    yield folder / "kubeconfig"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture
async def small(small_node: Path, request: pytest.FixtureRequest) -> AsyncIterator[Kubectl]:
    """A namespace of its own; its pods are gone before the next test."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50]
    await Kubectl(small_node)("create", "namespace", name)
    yield Kubectl(small_node, name)
    await Kubectl(small_node)("uncordon", "sandbox")
    await Kubectl(small_node)("delete", "namespace", name, "--timeout=30s")


def manifest(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def cpu(amount: str) -> dict[str, Any]:
    return {"requests": {"cpu": amount, "memory": "64Mi"}}


async def resize(kubectl: Kubectl, pod: str, amount: str) -> tuple[int, str]:
    patch = {"spec": {"containers": [{"name": "app", "resources": cpu(amount)}]}}
    return await kubectl.try_run(
        "patch", "pod", pod, "--subresource=resize", "--type=strategic", "-p", json.dumps(patch)
    )


async def condition(kubectl: Kubectl, pod: str, kind: str) -> dict[str, Any]:
    status = (await kubectl.get("pod", pod))["status"]
    return next((each for each in status.get("conditions", ()) if each["type"] == kind), {})


async def test_a_resize_waits_for_room(small: Kubectl, make_pod: Any, wait_for: Any) -> None:
    await small.apply(
        make_pod("a", *SLEEP, resources=cpu("500m")), make_pod("b", *SLEEP, resources=cpu("1"))
    )
    await small("wait", "--for=condition=Ready", "pod/a", "pod/b", "--timeout=20s")
    assert (await resize(small, "a", "1500m"))[0] == 0

    async def deferred() -> bool:
        return (await condition(small, "a", "PodResizePending")).get("reason") == "Deferred"

    await wait_for(deferred, what="the deferral")
    found = await condition(small, "a", "PodResizePending")
    assert found["message"] == (
        "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"
    )
    assert found["observedGeneration"] == (await small.get("pod", "a"))["metadata"]["generation"]
    assert (await small.container("a"))["allocatedResources"]["cpu"] == "500m"
    await small("delete", "pod", "b")

    async def granted() -> bool:
        return (await small.container("a"))["allocatedResources"]["cpu"] == "1500m"

    await wait_for(granted, what="the resize")
    assert await condition(small, "a", "PodResizePending") == {}


async def test_a_resize_beyond_the_node_is_forbidden(small: Kubectl, make_pod: Any) -> None:
    await small.apply(make_pod("a", *SLEEP, resources=cpu("500m")))
    await small("wait", "--for=condition=Ready", "pod/a", "--timeout=20s")
    code, output = await resize(small, "a", "3")
    assert code != 0
    assert "node didn't have enough allocatable resources: cpu, requested: 3000" in output


async def test_a_cordoned_node(small: Kubectl, make_pod: Any) -> None:
    await small("cordon", "sandbox")
    assert "SchedulingDisabled" in await small("get", "nodes")
    await small.apply(make_pod("a", *SLEEP))
    await small("wait", "--for=condition=PodScheduled=False", "pod/a", "--timeout=20s")
    found = await condition(small, "a", "PodScheduled")
    assert found["message"].startswith("0/1 nodes are available: 1 node(s) were unschedulable.")
    await small("uncordon", "sandbox")
    await small("wait", "--for=condition=Ready", "pod/a", "--timeout=20s")


async def test_a_quota(small: Kubectl, make_web: Any, wait_for: Any) -> None:
    hard = {"pods": "1", "requests.cpu": "1"}
    await small.apply(manifest("v1", "ResourceQuota", "q", {"hard": hard}))
    await small.apply(make_web(replicas=2)[0])

    async def reported() -> str:
        status = (await small.get("deployment", "web"))["status"]
        found = [each for each in status["conditions"] if each["type"] == "ReplicaFailure"]
        return str(found[0]["message"]) if found else ""

    message = await wait_for(reported, what="the refusal")
    assert "is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1" in (
        message
    )
    assert "FailedCreate" in await small("get", "events")
    assert "pods: 1/1, requests.cpu: 100m/1" in await small("get", "quota")
    await small("patch", "quota", "q", "--type=merge", "-p", '{"spec":{"hard":{"pods":"2"}}}')
    await small("rollout", "status", "deployment/web", "--timeout=20s")


async def test_limits_of_a_namespace(small: Kubectl, make_pod: Any) -> None:
    item = {"type": "Container", "default": {"cpu": "500m"}, "max": {"cpu": "1"}}
    await small.apply(manifest("v1", "LimitRange", "l", {"limits": [item]}), make_pod("a", *SLEEP))
    made = await small.get("pod", "a")
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m"}
    pod = make_pod("b", *SLEEP, resources={"limits": {"cpu": "2"}})
    code, output = await small.try_run("apply", "-f", "-", stdin=json.dumps(pod))
    assert code != 0
    assert "maximum cpu usage per Container is 1, but limit is 2" in output


async def test_an_autoscaler_holds_its_bounds(small: Kubectl, make_web: Any, wait_for: Any) -> None:
    await small.apply(make_web(replicas=1)[0])
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"minReplicas": 2, "maxReplicas": 3, "scaleTargetRef": target}
    await small.apply(manifest("autoscaling/v2", "HorizontalPodAutoscaler", "h", spec))

    async def scaled() -> bool:
        return bool((await small.get("deployment", "web"))["spec"]["replicas"] == 2)

    await wait_for(scaled, what="the scale-up")
    assert "Deployment/web" in await small("get", "hpa")
    assert "SuccessfulRescale" in await small("get", "events")


async def test_a_container_beyond_its_memory_limit_is_killed(
    small: Kubectl, make_pod: Any, wait_for: Any
) -> None:
    program = ("python", "-c", GROW.format(megabytes=200))
    limited = {"limits": {"memory": "100Mi"}}
    enough = {"limits": {"memory": "400Mi"}}
    await small.apply(
        make_pod("large", *program, resources=limited), make_pod("fits", *program, resources=enough)
    )

    async def killed() -> Any:
        return (await small.container("large")).get("lastState", {}).get("terminated")

    ended = await wait_for(killed, what="the kill", within=20)
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    assert (await small.container("large"))["restartCount"] >= 1
    assert (await small.container("fits"))["restartCount"] == 0


async def test_memory_of_all_processes_of_a_container_counts(
    small: Kubectl, make_pod: Any, wait_for: Any
) -> None:
    held = "import time; held = bytearray(60 << 20); time.sleep(600)"
    shell = f"python -c '{held}' & python -c '{held}' & wait"
    await small.apply(make_pod("two", "sh", "-c", shell, resources={"limits": {"memory": "100Mi"}}))

    async def killed() -> Any:
        return (await small.container("two")).get("lastState", {}).get("terminated")

    assert (await wait_for(killed, what="the kill", within=20))["reason"] == "OOMKilled"
