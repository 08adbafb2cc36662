"""Which pods a ReplicaSet gives up first, in the order of the real controller. Pure."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from aiapi_sandbox.apimachinery.timestamps import parse_time

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def ready_since(pod: Mapping[str, Any]) -> datetime | None:
    """Return since when the pod is ready, or None."""
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready" and condition["status"] == "True":
            return parse_time(condition["lastTransitionTime"])
    return None


def deletion_cost(pod: Mapping[str, Any]) -> int:
    """Return the annotated cost; what is not a number counts as 0."""
    try:
        return int((pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def pods_to_delete(pods: Iterable[Mapping[str, Any]], count: int, *, now: datetime) -> list[Any]:
    """Return the `count` pods to delete.

    Unassigned before assigned, pending before running, not ready before ready, cheaper before
    dearer, ready for a shorter time, more restarts, younger. Times are compared by their order of
    magnitude, as Kubernetes does, so that pods of about one age go in no particular order.
    """

    def rank(pod: Mapping[str, Any]) -> tuple[Any, ...]:
        status, since = pod.get("status", {}), ready_since(pod)
        restarts = max((c["restartCount"] for c in status.get("containerStatuses", ())), default=0)
        return (
            bool(pod["spec"].get("nodeName")),
            _PHASES.get(status.get("phase", "Pending"), 1),
            since is not None,
            deletion_cost(pod),
            _magnitude(now, since) if since else -1,
            -restarts,
            _magnitude(now, parse_time(pod["metadata"]["creationTimestamp"])),
            pod["metadata"]["uid"],
        )

    return sorted(pods, key=rank)[:count]


def _magnitude(now: datetime, moment: datetime) -> int:
    seconds = (now - moment).total_seconds()
    return -1 if seconds < 1 else math.floor(math.log2(seconds))
