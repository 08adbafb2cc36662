"""Which endpoints a Service leads to, by all of its EndpointSlices."""

from typing import Any

import pytest

from aiapi_sandbox.controllers.endpointslice import (
    MANAGED_BY,
    MANAGER,
    SERVICE_LABEL,
    EndpointSliceController,
)
from aiapi_sandbox.controllers.manager import ObjectKey
from aiapi_sandbox.controllers.service_table import service_table
from aiapi_sandbox.kinds.resources import ENDPOINTSLICES, PODS, SERVICES
from aiapi_sandbox.storage.store import Store

READY = {"ready": True}
NOT_READY = {"ready": False}
LEAVING = {"ready": False, "serving": True, "terminating": True}


@pytest.fixture
def store() -> Store:
    store = Store()
    store.create(
        SERVICES,
        {
            "metadata": {"name": "shop", "namespace": "default"},
            "spec": {
                "selector": {"app": "shop"},
                "ports": [{"name": "http", "port": 80, "targetPort": 8000}],
            },
        },
    )
    return store


def add_slice(store: Store, name: str, *endpoints: Any, port: Any = 20001, **more: Any) -> None:
    """A slice of the Service with (address, conditions)."""
    labels = {SERVICE_LABEL: "shop", MANAGED_BY: "aiapi-operator"}
    body = {
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [address], **({"conditions": conditions} if conditions else {})}
            for address, conditions in endpoints
        ],
    }
    store.create(ENDPOINTSLICES, body | more)


def backends(store: Store) -> list[tuple[str, int]]:
    ((address, found),) = service_table(store).items()
    assert address[1] == 80
    return found


def test_slices_of_all_managers_count(store: Store) -> None:
    add_slice(store, "shop-abcde", ("10.0.0.1", READY), port=8000)
    add_slice(store, "shop-activator", ("10.0.0.8", READY), ("10.0.0.9", READY))
    assert sorted(backends(store)) == [("10.0.0.1", 8000), ("10.0.0.8", 20001), ("10.0.0.9", 20001)]
    store.delete(ENDPOINTSLICES, "default", "shop-activator")
    assert backends(store) == [("10.0.0.1", 8000)]


def test_endpoints_that_are_not_ready_get_nothing(store: Store) -> None:
    add_slice(store, "shop-activator", ("10.0.0.8", NOT_READY), ("10.0.0.9", None))
    assert backends(store) == [("10.0.0.9", 20001)], "without a condition it counts as ready"


def test_pods_that_leave_get_nothing_while_an_activator_is_ready(store: Store) -> None:
    add_slice(store, "shop-abcde", ("10.0.0.1", LEAVING), port=8000)
    assert backends(store) == [("10.0.0.1", 8000)], "nobody else is left"
    add_slice(store, "shop-activator", ("10.0.0.8", READY))
    assert backends(store) == [("10.0.0.8", 20001)]


def test_ports_are_found_by_name_and_protocol(store: Store) -> None:
    ports = [{"name": "admin", "port": 9000}, {"name": "http", "port": 53, "protocol": "UDP"}]
    add_slice(store, "other", ("10.0.0.1", READY), ports=ports)
    add_slice(store, "all-ports", ("10.0.0.2", READY), port=None)
    add_slice(store, "six", ("fd00::1", READY), addressType="IPv6")
    assert backends(store) == []


def test_an_address_in_two_slices_counts_once(store: Store) -> None:
    add_slice(store, "one", ("10.0.0.8", READY))
    add_slice(store, "two", ("10.0.0.8", READY))
    assert backends(store) == [("10.0.0.8", 20001)]


def _runs(pod: Any) -> None:
    conditions = [{"type": "Ready", "status": "True"}]
    pod["status"] = {"podIP": "10.0.0.1", "phase": "Running", "conditions": conditions}


def test_the_controller_leaves_slices_of_others_alone(store: Store) -> None:
    add_slice(store, "shop-activator", ("10.0.0.8", READY))
    before = store.get(ENDPOINTSLICES, "default", "shop-activator")
    store.create(
        PODS,
        {
            "metadata": {"name": "shop-1", "namespace": "default", "labels": {"app": "shop"}},
            "spec": {"nodeName": "sandbox", "containers": [{"name": "app", "image": "x"}]},
        },
    )
    store.mutate(PODS, "default", "shop-1", _runs, "status")
    controller = EndpointSliceController(store)
    controller.reconcile(ObjectKey("default", "shop"))
    assert store.get(ENDPOINTSLICES, "default", "shop-activator") == before
    assert sorted(backends(store)) == [("10.0.0.1", 8000), ("10.0.0.8", 20001)]
    store.delete(PODS, "default", "shop-1", grace_seconds=0)
    controller.reconcile(ObjectKey("default", "shop"))
    assert backends(store) == [("10.0.0.8", 20001)]
    (own,) = store.scan(ENDPOINTSLICES, "default", {MANAGED_BY: MANAGER})
    assert own["endpoints"] == []
