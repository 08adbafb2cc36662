"""What a LimitRange adds to a pod, and what it rejects, in the words of Kubernetes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.quantities import format_amount
from aiapi_sandbox.kinds.pod_resources import (
    Amounts,
    amounts,
    container_limits,
    container_requests,
    pod_limits,
    pod_requests,
)

ANNOTATION = "kubernetes.io/limit-ranger"
_ZERO = Decimal(0)


def add_defaults(pod: Obj, limit_range: Obj) -> None:
    """Set the default requests and limits on containers without them."""
    notes: list[str] = []
    for item in _items(limit_range, "Container"):
        for field, title in (("containers", "container"), ("initContainers", "init container")):
            for container in pod["spec"].get(field) or ():
                notes += _fill(container, item, f"{title} {container.get('name')}")
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = f"LimitRanger plugin set: {'; '.join(notes)}"


def _fill(container: Obj, item: Obj, title: str) -> Iterator[str]:
    resources = container.setdefault("resources", {})
    for part, source in (("requests", "defaultRequest"), ("limits", "default")):
        given = resources.get(part) or {}
        added = {k: v for k, v in (item.get(source) or {}).items() if k not in given}
        if added:
            resources[part] = {**given, **added}
            yield f"{', '.join(sorted(added))} {part.removesuffix('s')} for {title}"


def violations(pod: Obj, limit_range: Obj) -> list[str]:
    """Every rule that the pod breaks."""
    found: list[str] = []
    for item in _items(limit_range, "Container"):
        for field in ("containers", "initContainers"):
            for container in pod["spec"].get(field) or ():
                found += _check(item, container_requests(container), container_limits(container))
    for item in _items(limit_range, "Pod"):
        found += _check(item, pod_requests(pod), pod_limits(pod))
    return found


def _items(limit_range: Obj, kind: str) -> Iterable[Obj]:
    return [item for item in limit_range["spec"].get("limits") or () if item.get("type") == kind]


def _check(item: Obj, requests: Amounts, limits: Amounts) -> Iterator[str]:
    kind = item["type"]
    for name, shown in sorted((item.get("min") or {}).items()):
        least, text = amounts({name: shown})[name], f"minimum {name} usage per {kind} is {shown}"
        if name not in requests:
            yield f"{text}.  No request is specified"
        elif requests[name] < least:
            yield f"{text}, but request is {format_amount(name, requests[name])}"
        elif limits.get(name, least) < least:
            yield f"{text}, but limit is {format_amount(name, limits[name])}"
    for name, shown in sorted((item.get("max") or {}).items()):
        most, text = amounts({name: shown})[name], f"maximum {name} usage per {kind} is {shown}"
        if name not in limits:
            yield f"{text}.  No limit is specified"
        elif limits[name] > most:
            yield f"{text}, but limit is {format_amount(name, limits[name])}"
        elif requests.get(name, _ZERO) > most:
            yield f"{text}, but request is {format_amount(name, requests[name])}"
    yield from _check_ratios(item, requests, limits)


def _check_ratios(item: Obj, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, shown in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        text = f"{name} max limit to request ratio per {item['type']} is {shown}"
        if not requests.get(name):
            yield f"{text}, but no request is specified or request is 0"
        elif not limits.get(name):
            yield f"{text}, but no limit is specified or limit is 0"
        elif (ratio := limits[name] / requests[name]) > amounts({name: shown})[name]:
            yield f"{text}, but provided ratio is {ratio:f}"
