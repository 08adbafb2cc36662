"""A foreign object with a child's name is reported and not changed."""

from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.engine.ownership import is_pod_of, ownership_conflict


def found(kind: str = "Service", **metadata: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "a", **metadata}}


def owned_by(uid: str) -> list[dict[str, Any]]:
    return [{"kind": "AIApi", "name": "old", "uid": uid, "controller": True}]


OURS = {"labels": {"app.kubernetes.io/managed-by": "aiapi-operator"}}
HELM = {"labels": {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "a"}}


@pytest.mark.parametrize(
    ("existing", "owner"),
    [
        (found(ownerReferences=owned_by("1")), ""),
        (found(ownerReferences=owned_by("2")), "is owned by AIApi old"),
        (found(), "was not created by this operator"),
        (found(**HELM), "was not created by this operator"),
        (found(**OURS), ""),
        (found("Secret"), ""),
        (found("Secret", ownerReferences=owned_by("2")), "is owned by AIApi old"),
    ],
)
def test_ownership_conflict(existing: dict[str, Any], owner: str) -> None:
    message = ownership_conflict(existing, uid="1")
    assert owner in message
    assert bool(message) is bool(owner)


@pytest.mark.parametrize("kind", ["Service", "Deployment"])
async def test_a_foreign_object_is_not_taken_over(kind: str) -> None:
    world = World()
    foreign = {"kind": kind, "metadata": {"name": "a", **HELM}, "spec": {"mine": True, "ports": []}}
    before = await world.cluster.apply(foreign)
    world.cluster.done.clear()
    await world.tick()
    assert ("apply", kind) not in world.cluster.done
    assert not [call for call in world.cluster.done if call[0] == "scale" and kind == "Deployment"]
    assert world.cluster.objects[kind, "a"] == before
    (found,) = [
        c
        for c in world.cluster.objects["AIApi", "a"]["status"]["conditions"]
        if c["type"] == "Reconciled"
    ]
    assert found["status"] == "False"
    assert f"{kind} a already exists and was not created by this operator" in found["message"]


async def test_the_child_is_created_once_the_name_is_free() -> None:
    world = World()
    await world.cluster.apply({"kind": "Service", "metadata": {"name": "a"}, "spec": {}})
    await world.tick()
    del world.cluster.objects["Service", "a"]
    world.now += 120
    await world.tick()
    assert ("apply", "Service") in world.cluster.done
    assert world.cluster.objects["Service", "a"]["metadata"]["ownerReferences"]


def pod(kind: str, name: str, *, revision: str = "7f9", **more: Any) -> dict[str, Any]:
    owner = {"kind": kind, "name": name, "uid": "1", "controller": True, **more}
    labels = {"pod-template-hash": revision} if revision else {}
    return {"metadata": {"labels": labels, "ownerReferences": [owner]}}


@pytest.mark.parametrize(
    ("found", "is_ours"),
    [
        (pod("ReplicaSet", "a-7f9"), True),
        (pod("ReplicaSet", "a-7f9", controller=False), False),
        (pod("ReplicaSet", "b-7f9"), False),
        (pod("ReplicaSet", "a-b-7f9"), False),
        (pod("ReplicaSet", "a-", revision=""), False),
        (pod("StatefulSet", "a-7f9"), False),
        ({"metadata": {"labels": {"pod-template-hash": "7f9"}}}, False),
        ({"metadata": {}}, False),
    ],
)
def test_only_pods_of_the_deployment_are_its_pods(found: dict[str, Any], is_ours: bool) -> None:
    assert is_pod_of(found, "a") is is_ours


async def test_a_pod_with_forged_labels_is_neither_contacted_nor_counted() -> None:
    world = World()
    await world.settle()
    forged = world.cluster.add_pod("forged")
    del forged["metadata"]["ownerReferences"]
    world.cache.put(forged)
    world.answer("forged", workers=50)
    await world.tick()
    assert set(world.pods.targets) == {"a-1", "a-2"}
    assert "forged" not in dict(world.pods.set_workers)
    assert world.written["replicas"] == 2
