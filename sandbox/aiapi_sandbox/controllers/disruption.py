"""The disruption controller: the status of PodDisruptionBudgets."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.selectors import matches_selector
from aiapi_sandbox.controllers.controller_ref import controller_of
from aiapi_sandbox.controllers.endpointslice import is_ready
from aiapi_sandbox.controllers.manager import MapFunc, ObjectKey, object_key
from aiapi_sandbox.kinds.resources import (
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    GroupVersionResource,
)
from aiapi_sandbox.storage.store import Store

JsonObject = Mapping[str, Any]


def desired_healthy(budget: JsonObject, expected: int) -> int:
    """Return the minimum number of healthy pods. Percentages round up, as in Kubernetes."""
    spec = budget["spec"]
    if "maxUnavailable" in spec:
        return max(0, expected - _scaled(spec["maxUnavailable"], expected))
    return _scaled(spec.get("minAvailable", 1), expected)


def _scaled(value: int | str, total: int) -> int:
    if isinstance(value, int):
        return value
    return -(-int(value.removesuffix("%")) * total // 100)


class DisruptionController:
    """Updates the status of PodDisruptionBudgets."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        return {PODDISRUPTIONBUDGETS: lambda obj: [object_key(obj)], PODS: self._selecting}

    def _selecting(self, pod: Obj) -> Iterable[ObjectKey]:
        labels = pod["metadata"].get("labels") or {}
        for budget in self._store.scan(PODDISRUPTIONBUDGETS, pod["metadata"]["namespace"]):
            if matches_selector(budget["spec"].get("selector"), labels):
                yield object_key(budget)

    def reconcile(self, key: ObjectKey) -> float | None:
        budget = self._store.find(PODDISRUPTIONBUDGETS, *key)
        if budget is not None:
            status = self._status(budget)

            def change(found: Obj) -> None:
                found["status"] = status

            self._store.mutate(PODDISRUPTIONBUDGETS, *key, change, "status")
        return None

    def _status(self, budget: JsonObject) -> Obj:
        selector = budget["spec"].get("selector")
        pods = [
            pod
            for pod in self._store.scan(PODS, budget["metadata"]["namespace"])
            if matches_selector(selector, pod["metadata"].get("labels") or {})
        ]
        healthy = sum(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in pods)
        expected = self._expected(pods)
        wanted = desired_healthy(budget, expected)
        allowed = max(0, healthy - wanted) if expected else 0
        return {
            "observedGeneration": budget["metadata"]["generation"],
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": wanted,
            "expectedPods": expected,
            "conditions": [self._condition(budget, allowed)],
        }

    def _expected(self, pods: Iterable[JsonObject]) -> int:
        """Sum the controllers' desired replicas: a lost pod does not lower the expected count."""
        wanted: dict[str, int] = {}
        for pod in pods:
            reference = controller_of(pod)
            if reference is None or reference["kind"] != "ReplicaSet":
                wanted[pod["metadata"]["uid"]] = 1
                continue
            owner = self._store.find(REPLICASETS, pod["metadata"]["namespace"], reference["name"])
            wanted[reference["uid"]] = owner["spec"].get("replicas", 1) if owner else 0
        return sum(wanted.values())

    def _condition(self, budget: JsonObject, allowed: int) -> Obj:
        status = "True" if allowed else "False"
        known = next(iter(budget.get("status", {}).get("conditions", ())), None)
        same = known is not None and known["status"] == status
        return {
            "type": "DisruptionAllowed",
            "status": status,
            "reason": "SufficientPods" if allowed else "InsufficientPods",
            "message": "",
            "observedGeneration": budget["metadata"]["generation"],
            "lastTransitionTime": known["lastTransitionTime"]
            if same and known
            else self._store.now(),
        }
