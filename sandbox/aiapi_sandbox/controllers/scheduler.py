"""The scheduler for a single node: binds a pod when its requests fit."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.quantities import parse_quantity
from aiapi_sandbox.controllers.manager import MapFunc, ObjectKey, object_key
from aiapi_sandbox.events import ComponentEventRecorder
from aiapi_sandbox.kinds.pod_resources import pod_requests
from aiapi_sandbox.kinds.resources import NODES, PODS, GroupVersionResource
from aiapi_sandbox.storage.store import Store

RETRY_SECONDS = 5.0
JsonObject = Mapping[str, Any]


def unschedulable_reason(pod: JsonObject, node: JsonObject, others: Iterable[JsonObject]) -> str:
    """Return why the pod does not fit on the node; empty when it does."""
    labels = node["metadata"].get("labels") or {}
    if not (pod["spec"].get("nodeSelector") or {}).items() <= labels.items():
        return "1 node(s) didn't match Pod's node affinity/selector"
    allocatable = node["status"]["allocatable"]
    used: dict[str, Decimal] = {"pods": Decimal(0)}
    for other in others:
        used["pods"] += 1
        for name, amount in pod_requests(other).items():
            used[name] = used.get(name, Decimal(0)) + amount
    if used["pods"] + 1 > parse_quantity(allocatable["pods"]):
        return "1 Too many pods"
    missing = [
        f"1 Insufficient {name}"
        for name, amount in pod_requests(pod).items()
        if amount and used.get(name, Decimal(0)) + amount > parse_quantity(allocatable.get(name, 0))
    ]
    return ", ".join(missing)


class Scheduler:
    """Binds pods, or sets PodScheduled=False with the reason."""

    def __init__(self, store: Store, node_name: str) -> None:
        self._store = store
        self._node_name = node_name
        self._events = ComponentEventRecorder(store, "default-scheduler")

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        return {PODS: self._pending}

    def _pending(self, pod: Obj) -> Iterable[ObjectKey]:
        """Map a pending pod to itself, and a pod that frees resources to all pending pods."""
        if not pod["spec"].get("nodeName"):
            yield object_key(pod)
        elif not _occupies(pod) or "deletionTimestamp" in pod["metadata"]:
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
        why = unschedulable_reason(pod, node, others)
        if why:
            self._mark_unschedulable(pod, key, why)
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

    def _mark_unschedulable(self, pod: JsonObject, key: ObjectKey, why: str) -> None:
        preemption = "preemption: 0/1 nodes are available: 1 No preemption victims found"
        message = f"0/1 nodes are available: {why}. {preemption} for incoming pod."

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
