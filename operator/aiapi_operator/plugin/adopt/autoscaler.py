"""An HPA or a KEDA ScaledObject: its bounds and its behavior."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from aiapi_operator.api.field_errors import field_errors
from aiapi_operator.api.schedule import MAX_REPLICAS, Schedule
from aiapi_operator.plugin.adopt.fields import Fields
from aiapi_operator.plugin.adopt.notebook import Notebook

_TARGET = "the target utilization follows from objective and from the app's event-loop time"
_KEDA_DEFAULTS = (0, 100)
"""KEDA's minReplicaCount and maxReplicaCount."""
_ONE = "at least one pod stays"


@dataclass(slots=True, kw_only=True)
class Bounds:
    """``spec.replicas`` and ``spec.scaling`` as the autoscaler has them."""

    replicas: dict[str, int]
    scaling: dict[str, Any] = field(default_factory=dict)


def from_hpa(spec: Mapping[str, Any], notes: Notebook) -> Bounds:
    """From the spec of an HPA (autoscaling/v2)."""
    fields = Fields(spec, "spec")
    fields.take("scaleTargetRef")
    bounds = Bounds(replicas=_replicas(fields, notes, "minReplicas", "maxReplicas", (1, 1)))
    _add_behavior(bounds, fields.within("behavior"), notes)
    for at, metric in enumerate(fields.take("metrics") or ()):
        notes.lost(f"spec.metrics[{at}]", _TARGET, metric)
    percent = fields.take("targetCPUUtilizationPercentage")
    if percent is not None:
        notes.lost("spec.targetCPUUtilizationPercentage", _TARGET, percent)
    notes.remaining(fields)
    return bounds


def from_scaled_object(spec: Mapping[str, Any], notes: Notebook) -> Bounds:
    """From the spec of a KEDA ScaledObject."""
    fields = Fields(spec, "spec")
    fields.take("scaleTargetRef")
    bounds = Bounds(
        replicas=_replicas(fields, notes, "minReplicaCount", "maxReplicaCount", _KEDA_DEFAULTS)
    )
    behavior = fields.within("advanced", "horizontalPodAutoscalerConfig", "behavior")
    _add_behavior(bounds, behavior, notes)
    _add_triggers(bounds, fields.take("triggers") or (), notes)
    notes.remaining(
        fields,
        {
            "spec.pollingInterval": "scaling.interval is the time between two decisions; 2 s",
            "spec.cooldownPeriod": _ONE,
            "spec.idleReplicaCount": _ONE,
            "spec.fallback": "without current metrics the operator keeps the fleet as it is",
        },
    )
    return bounds


def _replicas(
    fields: Fields, notes: Notebook, low: str, high: str, defaults: tuple[int, int]
) -> dict[str, int]:
    """``spec.replicas``. A missing bound has the autoscaler's default, which is a bound too."""
    given = {name: fields.take(name) for name in (low, high)}
    least = defaults[0] if given[low] is None else int(given[low])
    most = defaults[1] if given[high] is None else int(given[high])
    reason = "replicas.min" if least else f"replicas.min is 1: {_ONE}"
    notes.changed(f"{fields.path}.{low}", reason, least)
    notes.changed(f"{fields.path}.{high}", "replicas.max", most)
    bottom = min(MAX_REPLICAS, max(1, least))
    return {"min": bottom, "max": min(MAX_REPLICAS, max(bottom, most))}


def _add_behavior(bounds: Bounds, behavior: Fields, notes: Notebook) -> None:
    window = behavior.take("scaleDown", "stabilizationWindowSeconds")
    if window:
        bounds.scaling["scaleDown"] = {"replicasAfter": f"{window}s"}
        path = f"{behavior.path}.scaleDown.stabilizationWindowSeconds"
        notes.changed(path, "scaling.scaleDown.replicasAfter", window, near="scaling")
    pods = 0
    for at, policy in enumerate(behavior.take("scaleUp", "policies") or ()):
        if policy.get("type") == "Pods":
            pods = max(pods, round(policy["value"] * 60 / policy["periodSeconds"]))
            reason = "scaling.scaleUp.maxReplicasPerMinute is the highest of them, a minute"
            notes.changed(f"{behavior.path}.scaleUp.policies[{at}]", reason, policy, near="scaling")
        else:
            reason = "scaling.scaleUp.maxReplicasPerMinute is a number of pods"
            notes.lost(f"{behavior.path}.scaleUp.policies[{at}]", reason, policy)
    if pods:
        bounds.scaling["scaleUp"] = {"maxReplicasPerMinute": min(MAX_REPLICAS, max(1, pods))}
    notes.remaining(
        behavior,
        {
            f"{behavior.path}.scaleDown": "pods are removed when the others can carry the highest"
            " need of scaling.scaleDown.replicasAfter",
            f"{behavior.path}.scaleUp": "a need already forecast is served at once",
        },
    )


def _add_triggers(bounds: Bounds, triggers: Any, notes: Notebook) -> None:
    schedules = []
    for at, trigger in enumerate(triggers):
        path = f"spec.triggers[{at}]"
        schedule = _schedule(trigger.get("metadata") or {}) if trigger.get("type") == "cron" else {}
        if not schedule:
            notes.lost(path, _TARGET, trigger)
        elif problem := _problem(schedule):
            notes.lost(path, f"not a valid schedule: {problem}", trigger)
        else:
            schedules.append(schedule)
            highest = max(bounds.replicas["max"], schedule["minReplicas"])
            bounds.replicas["max"] = min(MAX_REPLICAS, highest)
            notes.changed(path, "a schedule of its own", trigger, near="scaling")
    if schedules:
        bounds.scaling["schedules"] = schedules


def _schedule(metadata: Mapping[str, Any]) -> dict[str, Any]:
    count = str(metadata.get("desiredReplicas", ""))
    return {
        "start": str(metadata.get("start", "")),
        "end": str(metadata.get("end", "")),
        "timeZone": str(metadata.get("timezone", "Etc/UTC")),
        "minReplicas": int(count) if count.isdecimal() else 0,
    }


def _problem(schedule: Mapping[str, Any]) -> str:
    try:
        Schedule.model_validate(schedule)
    except ValidationError as error:
        return field_errors(error)[0]
    return ""
