"""A limit of the pod forbids more workers: the API server calls the resize invalid."""

import pytest
from e2e_support.cluster import Cluster
from e2e_support.fault import Row
from e2e_support.fault_fleet import Namespaces, behind_proxy
from e2e_support.fault_record import note
from e2e_support.fault_room import (
    LEAST,
    MOST,
    WORKER_CPU,
    ask,
    ask_nothing,
    start_in_place,
    wait_reason,
    wait_workers,
)

ROW = Row(
    fault="a limit of the pod forbids a resize",
    user="`ResizeDeferred` with reason `ResizeInvalid` and the limit",
    operator="Takes the workers that the limit allows, and plans with them",
)


def test_a_resize_beyond_a_limit(
    cluster: Cluster, fault_namespaces: Namespaces, request: pytest.FixtureRequest
) -> None:
    template = behind_proxy(cluster.image)
    limits = {"limits": {"cpu": f"{(LEAST + 1) * WORKER_CPU}m"}}
    template["spec"]["containers"][0]["resources"] = limits
    steady = start_in_place(cluster, fault_namespaces.read, podTemplate=template)
    with steady.fault(grows=MOST - LEAST):
        ask(steady, workers=MOST)
        message = wait_reason(steady, "ResizeDeferred", "ResizeInvalid")
        assert "must be less than or equal to cpu limit" in message
        wait_workers(steady, LEAST + 1)
        ask_nothing(steady)
    assert steady.outcome is not None
    note(request.path.stem, steady.outcome)
