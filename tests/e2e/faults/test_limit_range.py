"""A LimitRange is added to the namespace: it forbids what running pods would grow to."""

import json

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
    start_in_place,
    wait_reason,
    wait_workers,
)

ROW = Row(
    fault="LimitRange below what the load needs",
    user="`ResizeDeferred` with reason `ResizeForbidden` and the LimitRange's rule",
    operator="Keeps the workers, and asks again every 20 s",
)


def test_a_limit_range(
    cluster: Cluster, fault_namespaces: Namespaces, request: pytest.FixtureRequest
) -> None:
    steady = start_in_place(cluster, fault_namespaces.read)
    item = {"type": "Container", "max": {"cpu": "250m"}}
    body = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "small"},
        "spec": {"limits": [item]},
    }
    with steady.fault(grows=MOST - LEAST):
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))
        ask(steady, workers=MOST)
        message = wait_reason(steady, "ResizeDeferred", "ResizeForbidden")
        assert "maximum cpu usage per Container is 250m" in message
        assert "LimitRange" in message
        assert steady.size().workers == LEAST
        cluster.kubectl("delete", "limitrange", "small")
        wait_workers(steady, MOST)
        ask_nothing(steady)
    assert steady.outcome is not None
    note(request.path.stem, steady.outcome)
