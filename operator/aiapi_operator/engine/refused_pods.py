"""Why pods are not created or find no node, and what to do. Pure.

The messages are those of the quota and LimitRange admission plugins and of the scheduler.
"""

from aiapi_operator.cluster.resources import Manifest

Cause = tuple[str, str]
"""Reason and message of the condition."""

UNSCHEDULABLE = "Unschedulable"
"""The problem of a pod for which the scheduler finds no node."""
_LIMIT_RANGE = (
    "usage per Container is",
    "usage per Pod is",
    "limit to request ratio per",
    "must be less than or equal to cpu limit",
    "must be less than or equal to memory limit",
)
_CORDONED = "node(s) were unschedulable"
_NO_MATCH = ("didn't match Pod's node affinity/selector", "had untolerated taint")


def not_created(deployment: Manifest) -> Cause | None:
    """A quota, a LimitRange or an admission rule rejects the ReplicaSet's pods."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return _cause(condition.get("message") or condition.get("reason") or "no reason given")
    return None


def _cause(detail: str) -> Cause:
    text = f"Pods cannot be created: {detail.rstrip('.')}."
    if "exceeded quota" in detail:
        return "QuotaExceeded", (
            f"{text} Raise the ResourceQuota, or lower replicas.max, workers.cpu or workers.memory."
        )
    if "failed quota" in detail:
        return "QuotaExceeded", (
            f"{text} The ResourceQuota counts what the pods do not set: set it in spec.podTemplate"
            " or by a LimitRange, or take it out of the quota. The operator sets no limits."
        )
    if any(sign in detail for sign in _LIMIT_RANGE):
        return "LimitRangeExceeded", (
            f"{text} Change workers.cpu, workers.memory or workers.min to what the LimitRange of"
            " the namespace allows, or change the LimitRange; a limit may also be in"
            " spec.podTemplate."
        )
    return "PodsRefused", text


def not_scheduled(message: str) -> Cause:
    """The scheduler finds no node for a pod."""
    if "Insufficient" not in message and any(sign in message for sign in _NO_MATCH):
        return "NoMatchingNode", (
            f"No node matches the pod: {message}. Correct nodeSelector, affinity or tolerations in"
            " spec.podTemplate, or label the nodes."
        )
    if "Insufficient" not in message and _CORDONED in message:
        return "NodesCordoned", (
            f"No node accepts new pods: {message}. Uncordon a node (kubectl uncordon) or add nodes."
        )
    return "Unschedulable", (
        f"No node has room for a pod: {message}. Add nodes, or lower spec.workers.cpu or"
        " spec.workers.memory."
    )
