"""A pod with as many workers as the load needs does not fit on any node: the resize is refused."""

import pytest
from e2e_support.cluster import Cluster
from e2e_support.fault import Row
from e2e_support.fault_fleet import Namespaces
from e2e_support.fault_record import note
from e2e_support.fault_room import (
    IN_PLACE_WORKERS,
    LEAST,
    MOST,
    ask,
    ask_nothing,
    memory_for,
    start_in_place,
    wait_reason,
    wait_workers,
)

ROW = Row(
    fault="node too small: resize Infeasible",
    user="`ResizeDeferred` with reason `NodeTooSmall` and the API server's numbers",
    operator="Takes the workers that fit, and plans with them",
)
SHARE = 0.18
"""Of the node's memory, for each worker: five fit, six do not."""


def test_a_resize_beyond_the_node(
    cluster: Cluster, fault_namespaces: Namespaces, request: pytest.FixtureRequest
) -> None:
    workers = {**IN_PLACE_WORKERS, "memory": f"{memory_for(SHARE, cluster)}Mi"}
    steady = start_in_place(cluster, fault_namespaces.read, workers=workers)
    with steady.fault(grows=MOST - LEAST):
        ask(steady, workers=MOST)
        message = wait_reason(steady, "ResizeDeferred", "NodeTooSmall")
        assert "node didn't have enough allocatable resources: memory" in message
        wait_workers(steady, MOST - 1)
        ask_nothing(steady)
    assert steady.outcome is not None
    note(request.path.stem, steady.outcome)
