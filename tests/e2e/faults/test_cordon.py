"""All nodes are cordoned: pods run on, and new ones have no node."""

from collections.abc import Iterator
from contextlib import contextmanager

from e2e_support.fault import Row, Steady
from e2e_support.fault_room import ask, ask_nothing, wait_reason
from e2e_support.kubectl import eventually

ROW = Row(
    fault="nodes cordoned",
    user="`ScalingLimited` with reason `NoNodes`: uncordon a node or add nodes",
    operator="Keeps the fleet, and still changes workers in the running pods",
)


@contextmanager
def cordoned(steady: Steady) -> Iterator[None]:
    names = [node["metadata"]["name"] for node in steady.cluster.kubectl.json("nodes")["items"]]
    steady.cluster.kubectl("cordon", *names)
    try:
        yield
    finally:
        steady.cluster.kubectl("uncordon", *names)


def test_nodes_are_cordoned(steady: Steady) -> None:
    before = steady.size()
    wanted = before.replicas + 1
    with steady.fault(grows=before.workers + 2):
        with cordoned(steady):
            ask(steady, workers=before.workers, replicas=wanted)
            message = wait_reason(steady, "ScalingLimited", "NoNodes")
            assert "node(s) were unschedulable" in message
            assert "uncordon" in message
        eventually(
            lambda: steady.cluster.status(steady.name).get("readyReplicas") == wanted,
            within=30,
            what="the new pod runs",
            state=lambda: steady.cluster.status(steady.name),
        )
        ask_nothing(steady)
