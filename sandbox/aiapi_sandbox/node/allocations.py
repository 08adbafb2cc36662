"""The kubelet's allocation manager: which resources each pod of the node has been granted.

A resize that the node can never hold is Infeasible. One that it cannot hold now is Deferred, and
is retried when another pod ends or shrinks.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.kinds.pod_resources import Amounts, add, amounts, pod_requests

JsonObject = Mapping[str, Any]
_UNITS = {"memory": 1, "cpu": 1000}  # in messages: bytes and millicores
_ZERO = Decimal(0)


@dataclass(frozen=True)
class PendingResize:
    """A resize that the kubelet has not carried out: Deferred or Infeasible."""

    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """What a pod has been granted."""

    pod: Obj
    """The newest version of the pod, with the resources that it asks for."""
    resources: Mapping[str, JsonObject]
    """By container."""
    requests: Amounts
    pending: PendingResize | None = None


OnChange = Callable[[Allocation], None]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    allocation: Allocation
    on_change: OnChange = field(compare=False)


class Allocations:
    """Grants resources to the pods of the node, by uid."""

    def __init__(self, allocatable: Mapping[str, str]) -> None:
        self._allocatable = amounts(allocatable)
        self._entries: dict[str, _Entry] = {}

    def update(self, pod: Obj, on_change: OnChange) -> None:
        """Grant a new pod what it requests; decide about a resize of a known one."""
        uid = pod["metadata"]["uid"]
        if (known := self._entries.get(uid)) is None:
            self._set(uid, _Entry(allocation=_granted(pod), on_change=on_change))
            return
        before = known.allocation
        self._decide(uid, pod)
        if uid in self._entries and _shrank(before, self._entries[uid].allocation):
            self._retry()

    def release(self, pod: Obj) -> None:
        """The pod has ended."""
        if self._entries.pop(pod["metadata"]["uid"], None) is not None:
            self._retry()

    def _retry(self) -> None:
        """Decide again about the resizes that wait for room, the oldest pod first."""
        for uid, entry in tuple(self._entries.items()):
            if entry.allocation.pending is not None:
                self._decide(uid, entry.allocation.pod)

    def _decide(self, uid: str, pod: Obj) -> None:
        entry = self._entries[uid]
        wanted, known = _granted(pod), entry.allocation
        if wanted.resources != known.resources:
            others = [e.allocation.requests for key, e in self._entries.items() if key != uid]
            pending = verdict(wanted.requests, add(others), self._allocatable, known.requests)
            if pending is not None:
                wanted = replace(known, pod=pod, pending=pending)
        self._set(uid, replace(entry, allocation=wanted))

    def _set(self, uid: str, entry: _Entry) -> None:
        before = self._entries.get(uid)
        self._entries[uid] = entry
        new = entry.allocation
        old = before.allocation if before else None
        if old is None or (old.resources, old.pending) != (new.resources, new.pending):
            entry.on_change(new)


def verdict(
    wanted: Amounts, used: Amounts, allocatable: Amounts, granted: Amounts
) -> PendingResize | None:
    """Why a resize cannot be carried out, in the kubelet's words; None when it can."""
    for name, unit in _UNITS.items():
        most, asked = allocatable.get(name, _ZERO), wanted.get(name, _ZERO)
        if asked > most:
            text = f"{name}, requested: {int(asked * unit)}, capacity: {int(most * unit)}"
            return PendingResize("Infeasible", f"Node didn't have enough capacity: {text}")
    for name in _grown(wanted, granted):
        unit, most, taken = _UNITS[name], allocatable.get(name, _ZERO), used.get(name, _ZERO)
        if taken + wanted[name] > most:
            text = (
                f"{name}, requested: {int(wanted[name] * unit)}, used: {int(taken * unit)}, "
                f"capacity: {int(most * unit)}"
            )
            return PendingResize("Deferred", f"Node didn't have enough resource: {text}")
    return None


def _grown(wanted: Amounts, granted: Amounts) -> Iterable[str]:
    """What must find room, CPU first; the rest has it already."""
    return [n for n in ("cpu", "memory") if wanted.get(n, _ZERO) > granted.get(n, _ZERO)]


def _granted(pod: Obj) -> Allocation:
    containers = pod["spec"]["containers"]
    resources = {each["name"]: each.get("resources") or {} for each in containers}
    return Allocation(pod=pod, resources=resources, requests=pod_requests(pod))


def _shrank(before: Allocation, after: Allocation) -> bool:
    return any(after.requests.get(name, _ZERO) < amount for name, amount in before.requests.items())
