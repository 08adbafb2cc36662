"""Every permission that the operator uses, with its reason.

A test compares this table with the ClusterRole and the Role of the Helm chart, in both directions.
"""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """Where a permission is needed."""

    WATCHED = "watched"
    """In every watched namespace: cluster-wide, or in each listed one."""
    OPERATOR = "operator"
    """In the operator's namespace."""


class OwnObject(StrEnum):
    """An object of the operator itself."""

    LEASE = "lease"
    """The only Lease; with shards, that of the ring and those of the shards."""
    ADMIN_CA = "admin-ca"


@dataclass(frozen=True, slots=True)
class Permission:
    """Verbs on one resource (``plural`` or ``plural/subresource``)."""

    group: str
    resource: str
    verbs: frozenset[str]
    scope: Scope
    why: str
    only: OwnObject | None = None
    """Granted for this object of the operator only."""


def _watched(group: str, resource: str, verbs: str, why: str) -> Permission:
    return Permission(group, resource, frozenset(verbs.split()), Scope.WATCHED, why)


_AUTOSCALERS = "to detect other autoscalers of the same Deployment"

PERMISSIONS = (
    _watched("aiapi.dev", "aiapis", "get list watch", "to read the desired state"),
    _watched("aiapi.dev", "aiapis/status", "patch", "to report status, decisions and conditions"),
    _watched(
        "aiapi.dev",
        "aiapis/finalizers",
        "update",
        "to set blockOwnerDeletion if OwnerReferencesPermissionEnforcement is enabled",
    ),
    _watched("apps", "deployments", "create get list patch watch", "to run the pods of an AIApi"),
    _watched("apps", "deployments/scale", "get patch", "to set the number of pods"),
    _watched("", "services", "create get list patch watch", "to expose an AIApi"),
    _watched("", "serviceaccounts", "create get list patch watch", "to give pods an identity"),
    _watched(
        "",
        "secrets",
        "create get list patch watch",
        "to store token and certificate of the admin port; lists only Secrets with the operator's"
        " label",
    ),
    _watched(
        "policy",
        "poddisruptionbudgets",
        "create get list patch watch",
        "to keep a drain from evicting all pods together",
    ),
    _watched(
        "networking.k8s.io",
        "networkpolicies",
        "create get list patch watch",
        "to restrict the admin port to the operator",
    ),
    _watched(
        "discovery.k8s.io",
        "endpointslices",
        "create delete get list patch watch",
        "to lead the Service of an AIApi at zero to the activators",
    ),
    _watched(
        "",
        "pods",
        "list patch watch",
        "to read addresses and failures, and to choose the pods that are removed first",
    ),
    _watched("", "pods/resize", "patch", "to change CPU and memory of running pods"),
    _watched("", "events", "create patch", "to record changes as Events on the AIApi"),
    _watched("autoscaling", "horizontalpodautoscalers", "list", _AUTOSCALERS),
    _watched("keda.sh", "scaledobjects", "list", _AUTOSCALERS),
    _watched("autoscaling.k8s.io", "verticalpodautoscalers", "list", _AUTOSCALERS),
    Permission(
        "coordination.k8s.io",
        "leases",
        frozenset({"create"}),
        Scope.OPERATOR,
        "to create the Lease if it is missing",
    ),
    Permission(
        "coordination.k8s.io",
        "leases",
        frozenset({"get", "update"}),
        Scope.OPERATOR,
        "to elect one leader",
        only=OwnObject.LEASE,
    ),
    Permission(
        "",
        "secrets",
        frozenset({"create"}),
        Scope.OPERATOR,
        "to create the Secret with the CA of the admin ports if it is missing",
    ),
    Permission(
        "",
        "secrets",
        frozenset({"get", "update"}),
        Scope.OPERATOR,
        "to keep the CA of the admin ports and to rotate it",
        only=OwnObject.ADMIN_CA,
    ),
    Permission(
        "",
        "pods",
        frozenset({"list"}),
        Scope.OPERATOR,
        "to find the activators",
    ),
)

SHARDED_PERMISSIONS = (
    _watched("aiapi.dev", "aiapis", "patch", "to set the label of the shard"),
    Permission(
        "coordination.k8s.io",
        "leases",
        frozenset({"list"}),
        Scope.OPERATOR,
        "to see which shards are live",
    ),
)
"""What it uses in addition where several operators share the AIApis."""
