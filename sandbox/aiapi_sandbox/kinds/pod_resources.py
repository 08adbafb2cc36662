"""A pod's total resource requests and its QoS class. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from aiapi_sandbox.apimachinery.quantities import parse_quantity


def pod_requests(pod: Mapping[str, Any]) -> dict[str, Decimal]:
    """The requests that the scheduler uses: the containers' sum or the largest init container.

    Sidecars count with the containers, and with the init containers after them.
    """
    spec = pod["spec"]
    sidecars: dict[str, Decimal] = {}
    largest: dict[str, Decimal] = {}
    for container in spec.get("initContainers", []):
        needed = _sum((sidecars, _requests(container)))
        if container.get("restartPolicy") == "Always":
            sidecars = needed
        largest = {
            name: max(amount, largest.get(name, amount)) for name, amount in needed.items()
        } | {name: amount for name, amount in largest.items() if name not in needed}
    total = _sum((sidecars, *(_requests(container) for container in spec["containers"])))
    return total | {name: max(amount, total.get(name, amount)) for name, amount in largest.items()}


def _requests(container: Mapping[str, Any]) -> dict[str, Decimal]:
    resources = container.get("resources", {})
    merged = {**resources.get("limits", {}), **resources.get("requests", {})}
    return {name: parse_quantity(amount) for name, amount in merged.items()}


def _sum(parts: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def qos_class(spec: Mapping[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort, from the CPU and memory of all containers."""
    guaranteed, any_set = True, False
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        resources = container.get("resources", {})
        limits, requests = resources.get("limits", {}), resources.get("requests", {})
        for name in ("cpu", "memory"):
            any_set = any_set or name in limits or name in requests
            limit = limits.get(name)
            request = requests.get(name, limit)
            same = limit is not None and parse_quantity(limit) == parse_quantity(request)
            guaranteed = guaranteed and same
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
