"""Deployments, their pods and their Service, through kubectl and a client of the Service."""

import asyncio
from collections import Counter
from typing import Any

import pytest


async def fetch(address: tuple[str, int], path: str = "/") -> tuple[int, str]:
    """Send one request on a new connection; return the status and the pod's name."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


async def address_of(kubectl: Any) -> tuple[str, int]:
    service = await kubectl.get("service", "web")
    return service["spec"]["clusterIP"], 8080


async def roll_out(kubectl: Any) -> str:
    answer: str = await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    return answer


async def test_a_deployment_serves_through_its_service(kubectl: Any, make_web: Any) -> None:
    await kubectl.apply(*make_web(3))
    assert "successfully rolled out" in await roll_out(kubectl)
    address = await address_of(kubectl)
    answers = Counter([(await fetch(address))[1] for _ in range(60)])
    pods = {pod["metadata"]["name"] for pod in await kubectl.pods()}
    assert set(answers) == pods
    assert len(pods) == 3
    described = await kubectl("describe", "service", "web")
    assert described.count(":8000") == 3


async def test_scaling_down_removes_the_lowest_deletion_cost_first(
    kubectl: Any, make_web: Any, wait_for: Any
) -> None:
    await kubectl.apply(*make_web(1))
    await roll_out(kubectl)
    await kubectl("scale", "deployment/web", "--replicas=3")
    await roll_out(kubectl)
    names = [pod["metadata"]["name"] for pod in await kubectl.pods()]
    cost = "controller.kubernetes.io/pod-deletion-cost"
    for name in names[1:]:
        await kubectl("annotate", "pod", name, f"{cost}=100")
    await kubectl("scale", "deployment/web", "--replicas=2")

    async def only_two() -> bool:
        return len(await kubectl.pods()) == 2

    await wait_for(only_two, what="the scale-down")
    assert {pod["metadata"]["name"] for pod in await kubectl.pods()} == set(names[1:])


async def test_a_rolling_update_loses_no_request(kubectl: Any, make_web: Any) -> None:
    await kubectl.apply(*make_web(3))
    await roll_out(kubectl)
    address = await address_of(kubectl)
    results: Counter[int] = Counter()
    done = asyncio.Event()

    async def client() -> None:
        while not done.is_set():
            status, _ = await fetch(address)
            results[status] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(client())
        before = {pod["metadata"]["name"] for pod in await kubectl.pods()}
        await kubectl("set", "env", "deployment/web", "VERSION=2")
        assert "successfully rolled out" in await roll_out(kubectl)
        done.set()
    assert set(results) == {200}
    assert results.total() > 100
    history = await kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["1", "2"]
    assert not before & {
        pod["metadata"]["name"]
        for pod in await kubectl.pods()
        if "deletionTimestamp" not in pod["metadata"]
    }


async def test_a_broken_template_leaves_the_old_pods_serving(
    kubectl: Any, make_web: Any, wait_for: Any
) -> None:
    await kubectl.apply(*make_web(2, progressDeadlineSeconds=4))
    await roll_out(kubectl)
    await kubectl("set", "image", "deployment/web", "app=example/none")
    code, output = await kubectl.try_run("rollout", "status", "deployment/web", "--timeout=20s")
    assert code != 0
    assert "exceeded its progress deadline" in output
    assert (await fetch(await address_of(kubectl)))[0] == 200
    await kubectl("rollout", "undo", "deployment/web")
    assert "successfully rolled out" in await roll_out(kubectl)

    async def settled() -> bool:
        return len(await kubectl.pods()) == 2

    await wait_for(settled, what="the end of the broken pod")


async def test_a_deleted_pod_is_replaced(kubectl: Any, make_web: Any, wait_for: Any) -> None:
    await kubectl.apply(*make_web(1))
    await roll_out(kubectl)
    (before,) = await kubectl.pods()
    await kubectl("delete", "pod", before["metadata"]["name"], "--wait=false")

    async def replaced() -> bool:
        names = [pod["metadata"]["name"] for pod in await kubectl.pods()]
        return len(names) == 1 and names != [before["metadata"]["name"]]

    await wait_for(replaced, what="the new pod")


@pytest.mark.parametrize("cascade", ["background", "foreground"])
async def test_deleting_a_deployment_deletes_its_dependents(
    kubectl: Any, make_web: Any, wait_for: Any, cascade: str
) -> None:
    deployment, _ = make_web(1)
    await kubectl.apply(deployment)
    await roll_out(kubectl)
    await kubectl("delete", "deployment", "web", f"--cascade={cascade}", "--timeout=20s")

    async def empty() -> bool:
        return (await kubectl.get("replicasets,pods"))["items"] == []

    await wait_for(empty, what="the garbage collection")


async def test_orphans_are_kept_and_adopted_again(
    kubectl: Any, make_web: Any, wait_for: Any
) -> None:
    deployment, _ = make_web(1)
    await kubectl.apply(deployment)
    await roll_out(kubectl)
    (pod,) = await kubectl.pods()
    await kubectl("delete", "deployment", "web", "--cascade=orphan")

    async def unowned() -> bool:
        (found,) = (await kubectl.get("replicasets"))["items"]
        return not found["metadata"].get("ownerReferences")

    await wait_for(unowned, what="the orphaning")
    await kubectl.apply(deployment)
    await roll_out(kubectl)
    assert [p["metadata"]["uid"] for p in await kubectl.pods()] == [pod["metadata"]["uid"]]


async def test_children_of_a_custom_resource_are_deleted_with_it(
    kubectl: Any, wait_for: Any
) -> None:
    await kubectl.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "owners.gc.example.dev"},
            "spec": {
                "group": "gc.example.dev",
                "names": {"kind": "Owner", "plural": "owners"},
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object"}},
                    }
                ],
            },
        }
    )
    await kubectl("wait", "--for=condition=Established", "crd/owners.gc.example.dev")
    await kubectl.apply(
        {"apiVersion": "gc.example.dev/v1", "kind": "Owner", "metadata": {"name": "parent"}}
    )
    owner = await kubectl.get("owners", "parent")
    reference = {
        "apiVersion": "gc.example.dev/v1",
        "kind": "Owner",
        "name": "parent",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    meta = {"name": "child", "ownerReferences": [reference]}
    await kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    await kubectl("delete", "owners", "parent")

    async def gone() -> bool:
        code, _ = await kubectl.try_run("get", "configmap", "child")
        return code != 0

    await wait_for(gone, what="the garbage collection")


async def test_a_disruption_budget_counts_allowed_disruptions(
    kubectl: Any, make_web: Any, wait_for: Any
) -> None:
    await kubectl.apply(
        make_web(3)[0],
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        },
    )
    await roll_out(kubectl)

    async def counted() -> bool:
        status = (await kubectl.get("pdb", "web"))["status"]
        keys = ("expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed")
        return [status.get(key) for key in keys] == [3, 3, 2, 1]

    await wait_for(counted, what="the budget's status")
