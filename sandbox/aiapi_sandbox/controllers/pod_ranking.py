"""Replica ranking: the order in which a ReplicaSet deletes pods. Pure."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from aiapi_sandbox.apimachinery.timestamps import parse_time

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def ready_since(pod: Mapping[str, Any]) -> datetime | None:
    """Return when the pod became ready; None when it is not."""
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready" and condition["status"] == "True":
            return parse_time(condition["lastTransitionTime"])
    return None


def deletion_cost(pod: Mapping[str, Any]) -> int:
    """Return the annotated deletion cost; an invalid value counts as 0."""
    try:
        return int((pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def pods_to_delete(pods: Iterable[Mapping[str, Any]], count: int, *, now: datetime) -> list[Any]:
    """Return the `count` pods to delete first.

    In order: not assigned to a node, pending, not ready, lower deletion cost, ready for less time,
    more restarts, newer. As in Kubernetes, times are compared on a logarithmic scale, so the order
    of pods of similar age is arbitrary.
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
