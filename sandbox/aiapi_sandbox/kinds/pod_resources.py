"""What a pod requests, may use and occupies, and its QoS class. Pure."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from aiapi_sandbox.apimachinery.quantities import parse_quantity

Amounts = dict[str, Decimal]
JsonObject = Mapping[str, Any]


def pod_requests(pod: JsonObject) -> Amounts:
    """The requests in the spec: the containers' sum or the largest init container."""
    return _of_pod(pod["spec"], container_requests)


def pod_limits(pod: JsonObject) -> Amounts:
    """The limits in the spec: the containers' sum or the largest init container."""
    return _of_pod(pod["spec"], container_limits)


def occupied(pod: JsonObject) -> Amounts:
    """What the scheduler and a quota count: during a resize, the larger of old and new.

    A resize that its node can never grant does not count.
    """
    statuses = {each["name"]: each for each in pod.get("status", {}).get("containerStatuses", ())}
    infeasible = _is_infeasible(pod)

    def counted(container: JsonObject) -> Amounts:
        status = statuses.get(container["name"], {})
        actual = _largest(
            amounts(status.get("resources", {}).get("requests")),
            amounts(status.get("allocatedResources")),
        )
        wanted = container_requests(container)
        return actual if infeasible and actual else _largest(wanted, actual)

    return _of_pod(pod["spec"], counted)


def _is_infeasible(pod: JsonObject) -> bool:
    return any(
        each["type"] == "PodResizePending" and each.get("reason") == "Infeasible"
        for each in pod.get("status", {}).get("conditions", ())
    )


def container_requests(container: JsonObject) -> Amounts:
    """A container's requests; a limit without a request counts as one."""
    return container_limits(container) | amounts(_resources(container).get("requests"))


def container_limits(container: JsonObject) -> Amounts:
    return amounts(_resources(container).get("limits"))


def amounts(resources: JsonObject | None) -> Amounts:
    """A ResourceList as numbers."""
    return {name: parse_quantity(amount) for name, amount in (resources or {}).items()}


def _resources(container: JsonObject) -> JsonObject:
    found: JsonObject = container.get("resources") or {}
    return found


def _of_pod(spec: JsonObject, part: Callable[[JsonObject], Amounts]) -> Amounts:
    """The containers' sum or the largest init container.

    Sidecars count with the containers, and with the init containers after them.
    """
    sidecars: Amounts = {}
    largest: Amounts = {}
    for container in spec.get("initContainers") or ():
        needed = add((sidecars, part(container)))
        if container.get("restartPolicy") == "Always":
            sidecars = needed
        largest = _largest(largest, needed)
    total = add((sidecars, *(part(container) for container in spec["containers"])))
    return _largest(total, largest)


def add(parts: Iterable[Mapping[str, Decimal]]) -> Amounts:
    """The sum by name."""
    total: Amounts = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def _largest(*parts: Mapping[str, Decimal]) -> Amounts:
    found: Amounts = {}
    for part in parts:
        for name, amount in part.items():
            found[name] = max(found.get(name, Decimal(0)), amount)
    return found


def qos_class(spec: JsonObject) -> str:
    """Guaranteed, Burstable or BestEffort, from the CPU and memory of all containers."""
    guaranteed, any_set = True, False
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        limits, requests = container_limits(container), container_requests(container)
        for name in ("cpu", "memory"):
            any_set = any_set or name in requests
            guaranteed = guaranteed and name in limits and limits[name] == requests[name]
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
