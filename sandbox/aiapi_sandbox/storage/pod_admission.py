"""Admission of pods: LimitRange, ResourceQuota, and resizes beyond the node.

The store calls it, because the ReplicaSet controller creates pods without a request. A refusal has
the message of Kubernetes' admission plugin.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol

from aiapi_sandbox.apimachinery.errors import Obj, forbidden
from aiapi_sandbox.apimachinery.quantities import parse_quantity
from aiapi_sandbox.kinds.limit_range_rules import add_defaults, violations
from aiapi_sandbox.kinds.pod_defaults import qos_class
from aiapi_sandbox.kinds.pod_resources import pod_requests
from aiapi_sandbox.kinds.quota_rules import exceeded, unspecified, usage, used_of
from aiapi_sandbox.kinds.resources import (
    LIMITRANGES,
    NODES,
    PODS,
    RESOURCEQUOTAS,
    GroupVersionResource,
)

_UNITS = {"cpu": 1000, "memory": 1}  # in messages: millicores and bytes


class ObjectReader(Protocol):
    """The part of the store that this module calls (the store imports this module)."""

    def find(self, gvr: GroupVersionResource, namespace: str | None, name: str) -> Obj | None: ...
    def scan(self, gvr: GroupVersionResource, namespace: str | None = None) -> Iterable[Obj]: ...


def add_pod_defaults(store: ObjectReader, pod: Obj) -> None:
    """What LimitRanges add to a new pod."""
    for limit_range in store.scan(LIMITRANGES, _namespace(pod)):
        add_defaults(pod, limit_range)
    pod["status"]["qosClass"] = qos_class(pod)


def admit_pod(store: ObjectReader, pod: Obj) -> None:
    """Refuse a new pod that a LimitRange or a quota does not allow."""
    _check_limit_ranges(store, pod)
    _check_quotas(store, pod, {})


def admit_resize(store: ObjectReader, pod: Obj, old: Obj) -> None:
    """Refuse a resize that a LimitRange, the node or a quota does not allow."""
    _check_limit_ranges(store, pod)
    _check_node(store, pod)
    _check_quotas(store, pod, usage(old))


def _namespace(pod: Obj) -> str:
    return str(pod["metadata"].get("namespace", ""))


def _check_limit_ranges(store: ObjectReader, pod: Obj) -> None:
    for limit_range in store.scan(LIMITRANGES, _namespace(pod)):
        found = list(dict.fromkeys(violations(pod, limit_range)))
        if found:
            why = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
            raise forbidden("", "pods", pod["metadata"]["name"], why)


def _check_quotas(store: ObjectReader, pod: Obj, before: dict[str, Decimal]) -> None:
    namespace, name = _namespace(pod), pod["metadata"]["name"]
    more = {each: amount - before.get(each, Decimal(0)) for each, amount in usage(pod).items()}
    for quota in store.scan(RESOURCEQUOTAS, namespace):
        title, hard = quota["metadata"]["name"], quota["spec"].get("hard") or {}
        if missing := unspecified(pod, hard):
            raise forbidden("", "pods", name, f"failed quota: {title}: must specify {missing}")
        used = used_of(hard, store.scan(PODS, namespace))
        if why := exceeded(title, hard, used, more):
            raise forbidden("", "pods", name, why)


def _check_node(store: ObjectReader, pod: Obj) -> None:
    node = store.find(NODES, None, pod["spec"].get("nodeName") or "")
    allocatable = node.get("status", {}).get("allocatable") or {} if node else {}
    requests = pod_requests(pod)
    for name, unit in _UNITS.items():
        if name not in allocatable or name not in requests:
            continue
        wanted, most = int(requests[name] * unit), int(parse_quantity(allocatable[name]) * unit)
        if wanted > most:
            why = (
                f"node didn't have enough allocatable resources: {name}, "
                f"requested: {wanted}, allocatable: {most}"
            )
            causes = [{"reason": "NodeCapacity"}]
            raise forbidden("", "pods", pod["metadata"]["name"], why, causes=causes)
