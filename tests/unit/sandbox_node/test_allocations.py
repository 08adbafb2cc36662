"""The kubelet's answers to resizes: granted, Deferred or Infeasible."""

from typing import Any

from aiapi_sandbox.node.allocations import Allocation, Allocations, PendingResize

NODE = {"cpu": "2", "memory": "4Gi", "pods": "10"}


def pod(uid: str, cpu: str, memory: str = "1Gi") -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    return {
        "metadata": {"uid": uid},
        "spec": {"containers": [{"name": "c", "resources": resources}]},
    }


class Node:
    """The allocations of a node, and the answers to its pods."""

    def __init__(self) -> None:
        self.allocations = Allocations(NODE)
        self.seen: dict[str, Allocation] = {}

    def update(self, each: dict[str, Any]) -> None:
        uid = each["metadata"]["uid"]
        self.allocations.update(each, lambda found: self.seen.update({uid: found}))

    def cpu(self, uid: str) -> str:
        return str(self.seen[uid].resources["c"]["requests"]["cpu"])

    def pending(self, uid: str) -> PendingResize | None:
        return self.seen[uid].pending


def test_a_resize_that_fits_is_granted() -> None:
    node = Node()
    node.update(pod("a", "500m"))
    node.update(pod("a", "1500m"))
    assert (node.cpu("a"), node.pending("a")) == ("1500m", None)


def test_a_resize_beyond_what_is_free_is_deferred_until_a_pod_ends() -> None:
    node = Node()
    node.update(pod("a", "500m"))
    node.update(pod("b", "1"))
    node.update(pod("a", "1500m"))
    assert node.cpu("a") == "500m"
    assert node.pending("a") == PendingResize(
        "Deferred",
        "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
    )
    node.allocations.release(pod("b", "1"))
    assert (node.cpu("a"), node.pending("a")) == ("1500m", None)


def test_a_deferred_resize_is_granted_when_another_pod_shrinks() -> None:
    node = Node()
    for each in (pod("a", "500m"), pod("b", "1"), pod("a", "1500m"), pod("b", "500m")):
        node.update(each)
    assert (node.cpu("a"), node.pending("a")) == ("1500m", None)


def test_memory_is_counted_in_bytes() -> None:
    node = Node()
    node.update(pod("a", "100m", "1Gi"))
    node.update(pod("b", "100m", "3Gi"))
    node.update(pod("a", "100m", "2Gi"))
    found = node.pending("a")
    assert found is not None
    assert found.message == (
        "Node didn't have enough resource: memory, requested: 2147483648, used: 3221225472, "
        "capacity: 4294967296"
    )


def test_a_resize_that_the_node_can_never_hold_is_infeasible() -> None:
    node = Node()
    node.update(pod("a", "500m"))
    node.update(pod("a", "3"))
    assert node.pending("a") == PendingResize(
        "Infeasible", "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000"
    )
    node.update(pod("a", "1"))
    assert (node.cpu("a"), node.pending("a")) == ("1", None)


def test_a_resize_that_is_taken_back_is_not_pending() -> None:
    node = Node()
    for each in (pod("a", "500m"), pod("b", "1"), pod("a", "1500m"), pod("a", "500m")):
        node.update(each)
    assert (node.cpu("a"), node.pending("a")) == ("500m", None)
