"""The scheduler for a single node: binds a pod when its requests fit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.controllers.manager import MapFunc, ObjectKey, object_key
from aiapi_sandbox.events import ComponentEventRecorder
from aiapi_sandbox.kinds.pod_resources import add, amounts, occupied, pod_requests
from aiapi_sandbox.kinds.resources import NODES, PODS, GroupVersionResource
from aiapi_sandbox.storage.store import Store

RETRY_SECONDS = 5.0
CORDON_TAINT = "node.kubernetes.io/unschedulable"
_ZERO = Decimal(0)
JsonObject = Mapping[str, Any]


@dataclass(frozen=True)
class Misfit:
    """Why a pod does not fit on the node, and whether evicting other pods could help."""

    why: str
    preemption_helps: bool = False


def misfit(pod: JsonObject, node: JsonObject, others: Iterable[JsonObject]) -> Misfit | None:
    """Return why the pod does not fit on the node; None when it does."""
    if node["spec"].get("unschedulable") and not _tolerates_cordon(pod):
        return Misfit("1 node(s) were unschedulable")
    labels = node["metadata"].get("labels") or {}
    if not (pod["spec"].get("nodeSelector") or {}).items() <= labels.items():
        return Misfit("1 node(s) didn't match Pod's node affinity/selector")
    others = tuple(others)
    allocatable = amounts(node["status"]["allocatable"])
    if len(others) + 1 > allocatable["pods"]:
        return Misfit("1 Too many pods", preemption_helps=True)
    used, wanted = add(occupied(other) for other in others), pod_requests(pod)
    missing = [
        name
        for name, amount in sorted(wanted.items())
        if amount and used.get(name, _ZERO) + amount > allocatable.get(name, _ZERO)
    ]
    if not missing:
        return None
    fits_alone = all(wanted[name] <= allocatable.get(name, _ZERO) for name in missing)
    why = ", ".join(f"1 Insufficient {name}" for name in missing)
    return Misfit(why, preemption_helps=fits_alone)


def _tolerates_cordon(pod: JsonObject) -> bool:
    return any(
        each.get("key") in (CORDON_TAINT, None, "")
        and each.get("operator") == "Exists"
        and each.get("effect") in ("NoSchedule", None, "")
        for each in pod["spec"].get("tolerations") or ()
    )


class Scheduler:
    """Binds pods, or sets PodScheduled=False with the reason."""

    def __init__(self, store: Store, node_name: str) -> None:
        self._store = store
        self._node_name = node_name
        self._events = ComponentEventRecorder(store, "default-scheduler")

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        return {PODS: self._pending, NODES: self._all_pending}

    def _pending(self, pod: Obj) -> Iterable[ObjectKey]:
        """Map a pending pod to itself, and a pod that frees resources to all pending pods."""
        if not pod["spec"].get("nodeName"):
            yield object_key(pod)
        elif not _occupies(pod) or "deletionTimestamp" in pod["metadata"]:
            yield from self._all_pending(pod)

    def _all_pending(self, _: Obj) -> Iterable[ObjectKey]:
        for other in self._store.scan(PODS):
            if not other["spec"].get("nodeName"):
                yield object_key(other)

    def reconcile(self, key: ObjectKey) -> float | None:
        pod = self._store.find(PODS, *key)
        if pod is None or pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"]:
            return None
        if pod["spec"].get("schedulingGates"):
            return None
        node = self._store.find(NODES, None, self._node_name)
        if node is None:
            return 0.1
        others = [
            other
            for other in self._store.scan(PODS)
            if other["spec"].get("nodeName") and _occupies(other)
        ]
        found = misfit(pod, node, others)
        if found:
            self._mark_unschedulable(pod, key, found)
            return RETRY_SECONDS
        self._bind(pod, key)
        return None

    def _bind(self, pod: JsonObject, key: ObjectKey) -> None:
        def assign(found: Obj) -> None:
            found["spec"]["nodeName"] = self._node_name

        def scheduled(found: Obj) -> None:
            self._set_condition(found, {"status": "True"})

        self._store.mutate(PODS, *key, assign, "binding")
        self._store.mutate(PODS, *key, scheduled, "status")
        text = f"Successfully assigned {key.namespace}/{key.name} to {self._node_name}"
        self._events.normal(pod, "Scheduled", text)

    def _mark_unschedulable(self, pod: JsonObject, key: ObjectKey, found: Misfit) -> None:
        outcome = (
            "No preemption victims found for incoming pod"
            if found.preemption_helps
            else "Preemption is not helpful for scheduling"
        )
        message = (
            f"0/1 nodes are available: {found.why}. no new claims to deallocate, "
            f"preemption: 0/1 nodes are available: 1 {outcome}."
        )

        def unschedulable(found: Obj) -> None:
            state = {"status": "False", "reason": "Unschedulable", "message": message}
            self._set_condition(found, state)

        self._store.mutate(PODS, *key, unschedulable, "status")
        self._events.warning(pod, "FailedScheduling", message)

    def _set_condition(self, pod: Obj, state: Mapping[str, str]) -> None:
        status = pod.setdefault("status", {})
        kept = [c for c in status.get("conditions", ()) if c["type"] != "PodScheduled"]
        known = [c for c in status.get("conditions", ()) if c["type"] == "PodScheduled"]
        same = known and known[0]["status"] == state["status"]
        entry = {
            "type": "PodScheduled",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "lastProbeTime": None,
            "lastTransitionTime": known[0]["lastTransitionTime"] if same else self._store.now(),
            **state,
        }
        status.setdefault("phase", "Pending")
        status["conditions"] = [*kept, entry]


def _occupies(pod: JsonObject) -> bool:
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
