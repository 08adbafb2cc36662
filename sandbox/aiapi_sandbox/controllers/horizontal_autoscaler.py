"""The HorizontalPodAutoscaler controller, as in a cluster without a metrics API.

It moves the replicas of a target into minReplicas..maxReplicas. Between them it needs metrics,
which the sandbox does not have, so it reports that and changes nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.controllers.manager import MapFunc, ObjectKey, object_key
from aiapi_sandbox.controllers.scale_target import ScaleTarget, find_target
from aiapi_sandbox.events import ComponentEventRecorder
from aiapi_sandbox.kinds.resources import HORIZONTALPODAUTOSCALERS, GroupVersionResource
from aiapi_sandbox.storage.store import Store

SYNC_SECONDS = 15.0
"""The sync period of kube-controller-manager."""
State = tuple[str, str, str, str]
"""Type, status, reason and message of a condition."""

_NO_METRICS: State = (
    "ScalingActive",
    "False",
    "FailedGetResourceMetric",
    (
        "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to "
        "get metrics for resource cpu: unable to fetch metrics from resource metrics API: the "
        "server could not find the requested resource (get pods.metrics.k8s.io)"
    ),
)
_CAN_SCALE: State = (
    "AbleToScale",
    "True",
    "SucceededGetScale",
    "the HPA controller was able to get the target's current scale",
)


class HorizontalAutoscalerController:
    """Every 15 seconds, and when the autoscaler changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events = ComponentEventRecorder(store, "horizontal-pod-autoscaler")

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        return {HORIZONTALPODAUTOSCALERS: lambda obj: [object_key(obj)]}

    def reconcile(self, key: ObjectKey) -> float | None:
        autoscaler = self._store.find(HORIZONTALPODAUTOSCALERS, *key)
        if autoscaler is None:
            return None
        target = find_target(self._store, key.namespace, autoscaler["spec"]["scaleTargetRef"])
        if target is None:
            self._report_missing(autoscaler, key)
        else:
            self._scale(autoscaler, key, target)
        return SYNC_SECONDS

    def _report_missing(self, autoscaler: Obj, key: ObjectKey) -> None:
        reference = autoscaler["spec"]["scaleTargetRef"]
        why = (
            "the HPA controller was unable to get the target's current scale: "
            f'"{reference["name"]}" not found'
        )
        self._write(key, [("AbleToScale", "False", "FailedGetScale", why)], {"desiredReplicas": 0})
        self._events.warning(autoscaler, "FailedGetScale", why)

    def _scale(self, autoscaler: Obj, key: ObjectKey, target: ScaleTarget) -> None:
        spec, current = autoscaler["spec"], target.replicas
        desired = current and min(max(current, spec["minReplicas"]), spec["maxReplicas"])
        counts = {"currentReplicas": target.current, "desiredReplicas": desired}
        if desired == current:
            self._write(key, [_CAN_SCALE, _NO_METRICS], counts)
            return
        side, bound = ("above", "Max") if desired < current else ("below", "Min")
        why = f"Current number of replicas {side} Spec.{bound}Replicas"
        target.set_replicas(desired)
        self._events.normal(autoscaler, "SuccessfulRescale", f"New size: {desired}; reason: {why}")
        done = f"the HPA controller was able to update the target scale to {desired}"
        able: State = ("AbleToScale", "True", "SucceededRescale", done)
        self._write(key, [able, _NO_METRICS], {**counts, "lastScaleTime": self._store.now()})

    def _write(self, key: ObjectKey, states: list[State], values: Mapping[str, Any]) -> None:
        def fill(found: Obj) -> None:
            before = found.get("status") or {}
            conditions = list(_conditions(before, states, self._store.now()))
            found["status"] = {**before, **values, "conditions": conditions}

        self._store.mutate(HORIZONTALPODAUTOSCALERS, *key, fill, "status")


def _conditions(before: Obj, states: list[State], now: str) -> Iterator[Obj]:
    known = {each["type"]: each for each in before.get("conditions", ())}
    for kind, status, reason, message in states:
        old = known.get(kind, {})
        since = old["lastTransitionTime"] if old.get("status") == status else now
        yield {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": since,
        }
