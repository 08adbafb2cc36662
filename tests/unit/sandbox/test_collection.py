"""The indexes of the store."""

import time
from typing import Any

from aiapi_sandbox.controllers.controller_ref import claim
from aiapi_sandbox.kinds.resources import NAMESPACES, PODS, REPLICASETS
from aiapi_sandbox.storage.store import Store


def pod(name: str, owner: str = "", namespace: str = "default") -> dict[str, Any]:
    reference = {"apiVersion": "v1", "kind": "ReplicaSet", "name": "x", "uid": owner}
    owners = [{**reference, "controller": True}] if owner else []
    return {
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": owners},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    }


def names(pods: Any) -> list[str]:
    return [each["metadata"]["name"] for each in pods]


def test_objects_are_found_by_their_controller() -> None:
    store = Store()
    store.create(NAMESPACES, {"metadata": {"name": "other"}})
    for each in (pod("b", "1"), pod("a", "1"), pod("c", "2"), pod("d"), pod("e", "1", "other")):
        store.create(PODS, each)
    assert names(store.controlled(PODS, "default", "1")) == ["a", "b"]
    assert names(store.controlled(PODS, "default")) == ["d"]

    def orphan(found: Any) -> None:
        found["metadata"]["ownerReferences"] = []

    store.mutate(PODS, "default", "a", orphan)
    store.delete(PODS, "default", "b")
    assert names(store.controlled(PODS, "default", "1")) == []
    assert names(store.controlled(PODS, "default")) == ["a", "d"]
    assert names(store.scan(PODS)) == ["a", "c", "d", "e"]
    assert names(store.scan(PODS, "other")) == ["e"]


def test_pods_of_others_do_not_slow_a_replica_set_down() -> None:
    store = Store()
    for number in range(2000):
        store.create(PODS, pod(f"p-{number}", "other"))
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}},
    }
    template = spec["template"] | {"spec": pod("x")["spec"]}
    meta = {"name": "web", "namespace": "default"}
    owner = store.create(REPLICASETS, {"metadata": meta, "spec": {**spec, "template": template}})
    begin = time.process_time()
    for _ in range(100):
        assert claim(store, PODS, owner) == []
    assert time.process_time() - begin < 0.1  # a scan of all pods takes 5 ms each
