"""Admission of in-place resizes: a pod cannot grow beyond its node's allocatable resources."""

from __future__ import annotations

from decimal import Decimal

from aiapi_sandbox.apimachinery.errors import Obj, forbidden
from aiapi_sandbox.apimachinery.quantities import parse_quantity
from aiapi_sandbox.kinds.resources import NODES
from aiapi_sandbox.storage.store import Store

_UNITS = {"cpu": 1000, "memory": 1}  # in messages: millicores and bytes


def admit_resize(store: Store, pod: Obj) -> None:
    node = store.find(NODES, None, pod["spec"].get("nodeName") or "")
    if node is None:
        return
    allocatable = node.get("status", {}).get("allocatable") or {}
    for name, unit in _UNITS.items():
        if name not in allocatable:
            continue
        available = parse_quantity(allocatable[name])
        wanted = sum((_requested(item, name) for item in pod["spec"]["containers"]), Decimal(0))
        if wanted > available:
            why = (
                f"node didn't have enough allocatable resources: {name}, "
                f"requested: {int(wanted * unit)}, allocatable: {int(available * unit)}"
            )
            pod_name = pod["metadata"]["name"]
            raise forbidden("", "pods", pod_name, why, causes=[{"reason": "NodeCapacity"}])


def _requested(container: Obj, name: str) -> Decimal:
    requests = (container.get("resources") or {}).get("requests") or {}
    return parse_quantity(requests.get(name, 0))
