"""Deployment status: counts, and the conditions that `kubectl rollout status` reads. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.timestamps import format_time, parse_time
from aiapi_sandbox.controllers.rollout import rollout_limits

REPLICA_FAILURE = "ReplicaFailure"
JsonObject = Mapping[str, Any]


def condition_of(status: JsonObject, kind: str) -> JsonObject | None:
    """Return the condition of this type, or None."""
    return next((c for c in status.get("conditions", ()) if c["type"] == kind), None)


def with_condition(
    conditions: Iterable[JsonObject],
    kind: str,
    state: tuple[bool, str, str],
    now: datetime,
) -> list[Obj]:
    """Return the conditions with one of them set to (status, reason, message)."""
    true, reason, message = state
    status = "True" if true else "False"
    kept = [dict(condition) for condition in conditions]
    known = next((c for c in kept if c["type"] == kind), None)
    if known and (known["status"], known["reason"], known["message"]) == (status, reason, message):
        return kept
    changed = known is None or known["status"] != status
    entry = {
        "type": kind,
        "status": status,
        "lastUpdateTime": format_time(now),
        "lastTransitionTime": format_time(now)
        if changed or not known
        else known["lastTransitionTime"],
        "reason": reason,
        "message": message,
    }
    return [c for c in kept if c["type"] != kind] + [entry]


def counts(deployment: JsonObject, new: JsonObject | None, all_sets: Sequence[JsonObject]) -> Obj:
    """Return the counts; zeros are omitted, as in Kubernetes."""

    def summed(field: str, sets: Iterable[JsonObject]) -> int:
        return sum(rs.get("status", {}).get(field, 0) for rs in sets)

    available = summed("availableReplicas", all_sets)
    wanted = sum(rs["spec"].get("replicas", 1) for rs in all_sets)
    numbers = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": summed("replicas", all_sets),
        "updatedReplicas": summed("replicas", [new] if new else []),
        "readyReplicas": summed("readyReplicas", all_sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
        "terminatingReplicas": summed("terminatingReplicas", all_sets),
    }
    return {name: number for name, number in numbers.items() if number}


def is_complete(deployment: JsonObject, status: JsonObject) -> bool:
    """Whether all replicas are updated and available, and no old one is left."""
    desired = deployment["spec"].get("replicas", 1)
    return all(
        status.get(name, 0) == desired
        for name in ("updatedReplicas", "replicas", "availableReplicas")
    )


def has_progressed(before: JsonObject, after: JsonObject) -> bool:
    """Whether the rollout progressed since the last status."""

    def old_pods(status: JsonObject) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old_pods(after) < old_pods(before) or any(
        after.get(name, 0) > before.get(name, 0) for name in grown
    )


def deadline_in(deployment: JsonObject, status: JsonObject, now: datetime) -> float | None:
    """Return the seconds until the progress deadline; None when no rollout is running."""
    condition = condition_of(status, "Progressing")
    if condition is None or condition["reason"] in ("NewReplicaSetAvailable", "DeploymentPaused"):
        return None
    deadline = deployment["spec"].get("progressDeadlineSeconds", 600)
    until = parse_time(condition["lastUpdateTime"]) + timedelta(seconds=deadline)
    return (until - now).total_seconds()


def next_status(
    deployment: JsonObject, new: JsonObject | None, all_sets: Sequence[JsonObject], now: datetime
) -> Obj:
    """Return the Deployment's new status."""
    before = deployment.get("status", {})
    status = counts(deployment, new, all_sets)
    conditions: list[Obj] = [dict(c) for c in before.get("conditions", ())]
    enough = status.get("availableReplicas", 0) >= rollout_limits(deployment).min_available
    if enough:
        state = (True, "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        state = (
            False,
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    conditions = with_condition(conditions, "Available", state, now)
    progress = _progress(deployment, new, before, status, now)
    if progress is not None:
        moved = has_progressed(before, status)
        conditions = _set_progress(conditions, progress, now, moved=moved)
    return status | {"conditions": _with_failure(conditions, new, all_sets, now)}


def _with_failure(
    conditions: list[Obj], new: JsonObject | None, all_sets: Sequence[JsonObject], now: datetime
) -> list[Obj]:
    """Show why a ReplicaSet cannot create pods, that of the new template first."""
    for replica_set in (*([new] if new else []), *all_sets):
        failure = condition_of(replica_set.get("status", {}), REPLICA_FAILURE)
        if failure is not None:
            if any(each["type"] == REPLICA_FAILURE for each in conditions):
                return conditions
            state = (True, failure["reason"], failure["message"])
            return with_condition(conditions, REPLICA_FAILURE, state, now)
    return [each for each in conditions if each["type"] != REPLICA_FAILURE]


def _set_progress(
    conditions: list[Obj], state: tuple[bool, str, str], now: datetime, *, moved: bool
) -> list[Obj]:
    conditions = with_condition(conditions, "Progressing", state, now)
    if moved and state[0]:
        for condition in conditions:
            if condition["type"] == "Progressing":
                condition["lastUpdateTime"] = format_time(now)
    return conditions


def _progress(
    deployment: JsonObject,
    new: JsonObject | None,
    before: JsonObject,
    status: JsonObject,
    now: datetime,
) -> tuple[bool, str, str] | None:
    """Return the new state of the Progressing condition, or None to keep it."""
    known = condition_of(before, "Progressing")
    name = new["metadata"]["name"] if new else deployment["metadata"]["name"]
    settled = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    if known and known["reason"] == "NewReplicaSetAvailable" and settled:
        return None
    if is_complete(deployment, status) and new is not None:
        return True, "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'
    if has_progressed(before, status):
        return True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'
    if known and known["reason"] == "ProgressDeadlineExceeded":
        return None
    remaining = deadline_in(deployment, before, now)
    if remaining is not None and remaining < 0:
        return False, "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.'
    return None
