"""Every right that the operator uses, each with its reason.

The Helm chart's ClusterRole and Role are compared with this table by a test: a right that is
not used here is not granted there, and the other way round.
"""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """Where a right is needed."""

    WATCHED = "watched"
    """In every namespace that is watched: cluster-wide, or in each of those named."""
    OPERATOR = "operator"
    """In the operator's own namespace."""


@dataclass(frozen=True, slots=True)
class Permission:
    """Verbs on one resource (``plural`` or ``plural/subresource``)."""

    group: str
    resource: str
    verbs: frozenset[str]
    scope: Scope
    why: str


def _watched(group: str, resource: str, verbs: str, why: str) -> Permission:
    return Permission(group, resource, frozenset(verbs.split()), Scope.WATCHED, why)


_RIVAL = "to fight no other autoscaler over the same Deployment"

PERMISSIONS = (
    _watched("aiapi.dev", "aiapis", "get list watch", "to know what is wanted"),
    _watched("aiapi.dev", "aiapis/status", "patch", "to tell what was decided and why"),
    _watched(
        "aiapi.dev",
        "aiapis/finalizers",
        "update",
        "to set blockOwnerDeletion where OwnerReferencesPermissionEnforcement is on",
    ),
    _watched("apps", "deployments", "create get list patch watch", "the pods of an AIApi"),
    _watched("apps", "deployments/scale", "patch", "how many pods there are"),
    _watched("", "services", "create get list patch watch", "the address of an AIApi"),
    _watched("", "serviceaccounts", "create get list patch watch", "the pods' identity"),
    _watched(
        "",
        "secrets",
        "create get list patch watch",
        "the token of the pods' admin port; only Secrets with our label are listed or watched",
    ),
    _watched(
        "policy",
        "poddisruptionbudgets",
        "create get list patch watch",
        "a drain must not take all pods at once",
    ),
    _watched(
        "networking.k8s.io",
        "networkpolicies",
        "create get list patch watch",
        "the admin port is for the operator only",
    ),
    _watched("", "pods", "list patch watch", "addresses, failures, and which pod is removed first"),
    _watched("", "pods/resize", "patch", "CPU and memory of running pods"),
    _watched("", "events", "create patch", "each change as an Event on the AIApi"),
    _watched("autoscaling", "horizontalpodautoscalers", "list", _RIVAL),
    _watched("keda.sh", "scaledobjects", "list", _RIVAL),
    _watched("autoscaling.k8s.io", "verticalpodautoscalers", "list", _RIVAL),
    Permission(
        "coordination.k8s.io",
        "leases",
        frozenset({"create", "get", "update"}),
        Scope.OPERATOR,
        "one operator acts, the others watch",
    ),
)
