"""All nodes are cordoned: pods run on, and new ones have no node."""

from collections.abc import Iterator
from contextlib import contextmanager

from e2e_support.fault import Row, Steady
from e2e_support.fault_room import MOST_GROWTH, MOST_PODS, ask, ask_nothing, wait_reason
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
    with steady.fault(grows=MOST_GROWTH):
        with cordoned(steady):
            ask(steady, replicas=MOST_PODS)
            message = wait_reason(steady, "ScalingLimited", "NoNodes")
            assert "node(s) were unschedulable" in message
            assert "uncordon" in message
        eventually(
            lambda: steady.cluster.status(steady.name).get("readyReplicas") == MOST_PODS,
            within=30,
            what="the new pods run",
            state=lambda: steady.cluster.status(steady.name),
        )
        ask_nothing(steady)
