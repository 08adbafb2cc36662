"""Which pods fit on the node, and what the scheduler says about the others."""

from typing import Any

import pytest

from aiapi_sandbox.controllers.manager import ObjectKey
from aiapi_sandbox.controllers.node_taints import NodeTaintController
from aiapi_sandbox.controllers.scheduler import Scheduler
from aiapi_sandbox.kinds.resources import EVENTS, NODES, PODS
from aiapi_sandbox.node.node_registration import NodeCapacity, NodeRegistration
from aiapi_sandbox.storage.store import Store

NODE = "sandbox"
HELPFUL = "1 No preemption victims found for incoming pod"
NOT_HELPFUL = "1 Preemption is not helpful for scheduling"


@pytest.fixture
def store() -> Store:
    store = Store()
    capacity = NodeCapacity(cpu="2", memory="4Gi", pods="3")
    NodeRegistration(store, NODE, capacity, address="127.0.0.1").register()
    return store


def schedule(store: Store, name: str, cpu: str = "100m", **spec: Any) -> str:
    """The node's name, or why the pod has none."""
    resources = {"requests": {"cpu": cpu}}
    containers = [{"name": "c", "image": "i:1", "resources": resources}]
    if store.find(PODS, "default", name) is None:
        meta = {"name": name, "namespace": "default"}
        store.create(PODS, {"metadata": meta, "spec": {"containers": containers, **spec}})
    Scheduler(store, NODE).reconcile(ObjectKey("default", name))
    found = store.get(PODS, "default", name)
    condition = next(c for c in found["status"]["conditions"] if c["type"] == "PodScheduled")
    assert condition.get("reason", "") == ("" if found["spec"].get("nodeName") else "Unschedulable")
    return str(found["spec"].get("nodeName") or condition["message"])


def unschedulable(why: str, preemption: str) -> str:
    return (
        f"0/1 nodes are available: {why}. no new claims to deallocate, "
        f"preemption: 0/1 nodes are available: {preemption}."
    )


def test_a_full_node(store: Store) -> None:
    assert schedule(store, "a", "1500m") == NODE
    assert schedule(store, "b", "600m") == unschedulable("1 Insufficient cpu", HELPFUL)
    (event,) = store.list(EVENTS, fields="reason=FailedScheduling")
    assert event["message"] == unschedulable("1 Insufficient cpu", HELPFUL)
    assert schedule(store, "c", "500m") == NODE


def test_a_pod_larger_than_the_node(store: Store) -> None:
    assert schedule(store, "a", "3") == unschedulable("1 Insufficient cpu", NOT_HELPFUL)


def test_too_many_pods(store: Store) -> None:
    for name in "abc":
        assert schedule(store, name) == NODE
    assert schedule(store, "d") == unschedulable("1 Too many pods", HELPFUL)


def test_a_node_selector_that_matches_nothing(store: Store) -> None:
    assert schedule(store, "a", nodeSelector={"disk": "ssd"}) == unschedulable(
        "1 node(s) didn't match Pod's node affinity/selector", NOT_HELPFUL
    )


def test_a_cordoned_node(store: Store) -> None:
    def cordon(node: Any) -> None:
        node["spec"]["unschedulable"] = True

    def uncordon(node: Any) -> None:
        del node["spec"]["unschedulable"]

    def taint_keys() -> list[str]:
        NodeTaintController(store).reconcile(ObjectKey("", NODE))
        spec = store.peek(NODES, None, NODE)["spec"]
        return [f"{each['key']}:{each['effect']}" for each in spec.get("taints", ())]

    store.mutate(NODES, None, NODE, cordon)
    assert taint_keys() == ["node.kubernetes.io/unschedulable:NoSchedule"]
    assert schedule(store, "a") == unschedulable("1 node(s) were unschedulable", NOT_HELPFUL)
    tolerations = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]
    assert schedule(store, "b", tolerations=tolerations) == NODE
    store.mutate(NODES, None, NODE, uncordon)
    assert taint_keys() == []
    assert schedule(store, "a") == NODE


def test_an_accepted_resize_counts_before_it_is_carried_out(store: Store) -> None:
    schedule(store, "a", "500m")
    found = store.get(PODS, "default", "a")
    found["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1900m"
    store.update(PODS, found, "resize")
    assert "Insufficient cpu" in schedule(store, "b", "500m")


def test_a_change_of_the_node_wakes_pending_pods(store: Store) -> None:
    schedule(store, "a", "3")
    map_func = Scheduler(store, NODE).watches[NODES]
    assert list(map_func(store.get(NODES, None, NODE))) == [ObjectKey("default", "a")]


def test_the_node_is_as_large_as_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 1_000_000, "SC_PAGE_SIZE": 4096}.get)
    found = NodeCapacity().to_resource_list()
    assert (found["cpu"], found["memory"], found["pods"]) == ("6", "4000000Ki", "500")
