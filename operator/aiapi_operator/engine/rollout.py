"""The condition RolloutStuck: new pods do not start while earlier pods serve. Pure.

Ready stays True then, because the fleet serves. Only this condition tells that the last change of
the pod template has not arrived.
"""

from typing import Any

from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine import readiness, refused_pods
from aiapi_operator.engine.fleet import Observation
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import condition

KIND = "RolloutStuck"


def check(observation: Observation, deployment: Manifest, *, default_image: str) -> Condition:
    """Whether the rollout of the Deployment is stuck, and why."""
    status = deployment.get("status") or {}
    if _is_late(status):
        return condition(KIND, True, "DeadlineExceeded", _late(observation, default_image))
    if not _has_earlier_pods(status):
        return condition(KIND, False, "RolledOut", "All pods have the current pod template.")
    if refused := refused_pods.not_created(deployment):
        return condition(
            KIND,
            True,
            "NewPodsRefused",
            f"{refused[1]} {_progress(deployment)}. If a quota has no room for more pods, set"
            " spec.strategy to maxSurge: 0 and maxUnavailable: 1, or raise the quota.",
        )
    if found := readiness.pod_cause(observation, default_image):
        return condition(
            KIND,
            True,
            "NewPodsFail",
            f"{found[1]} {_progress(deployment)}, and the earlier pods serve. Correct the spec, or"
            " restore the one before: the Deployment follows it, so kubectl rollout undo does not"
            " last.",
        )
    return condition(KIND, False, "RollingOut", f"{_progress(deployment)}.")


def _has_earlier_pods(status: dict[str, Any]) -> bool:
    return int(status.get("replicas") or 0) > int(status.get("updatedReplicas") or 0)


def _is_late(status: dict[str, Any]) -> bool:
    return any(
        each.get("type") == "Progressing" and each.get("reason") == "ProgressDeadlineExceeded"
        for each in status.get("conditions") or ()
    )


def _late(observation: Observation, default_image: str) -> str:
    seconds = observation.aiapi.spec.strategy.progress_deadline_seconds
    found = readiness.pod_cause(observation, default_image)
    cause = found[1] if found else "See kubectl describe pod for the pods that are not ready."
    return (
        f"The rollout has made no progress for {seconds} s"
        f" (spec.strategy.progressDeadlineSeconds). {cause}"
    )


def _progress(deployment: Manifest) -> str:
    updated = (deployment.get("status") or {}).get("updatedReplicas") or 0
    return f"{updated} of {deployment['spec'].get('replicas', 1)} pods have the current template"
