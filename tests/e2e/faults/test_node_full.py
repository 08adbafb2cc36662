"""The node has no room for more workers: part of a resize fits, the rest is Deferred."""

import pytest
from e2e_support.cluster import Cluster
from e2e_support.fault import Row
from e2e_support.fault_fleet import Namespaces
from e2e_support.fault_record import note
from e2e_support.fault_room import (
    LEAST,
    MOST,
    ask,
    ask_nothing,
    fill_node,
    free_node,
    start_in_place,
    wait_reason,
    wait_workers,
)

ROW = Row(
    fault="node full: resize Deferred",
    user="`ResizeDeferred` with reason `NodeIsFull` and the kubelet's numbers",
    operator="Takes the workers that fit, plans with them, and asks again every 20 s",
)


def test_a_resize_waits_for_room(
    cluster: Cluster, fault_namespaces: Namespaces, request: pytest.FixtureRequest
) -> None:
    steady = start_in_place(cluster, fault_namespaces.read)
    with steady.fault(grows=MOST - LEAST):
        fill_node(steady, leave=150)
        ask(steady, workers=MOST)
        message = wait_reason(steady, "ResizeDeferred", "NodeIsFull")
        assert "Node didn't have enough resource: cpu" in message
        wait_workers(steady, LEAST + 1)
        free_node(steady)
        wait_workers(steady, MOST)
        wait_reason(steady, "ResizeDeferred", "NothingWaits", status="False")
        ask_nothing(steady)
    assert steady.outcome is not None
    note(request.path.stem, steady.outcome)
