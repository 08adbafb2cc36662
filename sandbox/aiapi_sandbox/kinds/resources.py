"""The served resources: names, subresources and strategy of every kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.kinds.strategies.base import Strategy
from aiapi_sandbox.kinds.strategies.builtin import builtin_strategies
from aiapi_sandbox.kinds.table_column import TableColumn
from aiapi_sandbox.kinds.type_schema import TypeSchema, builtin_type


class GroupVersionResource(NamedTuple):
    """Identifies a resource, like the path of a request."""

    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


NAMESPACES = GroupVersionResource("", "v1", "namespaces")
NODES = GroupVersionResource("", "v1", "nodes")
PODS = GroupVersionResource("", "v1", "pods")
SERVICES = GroupVersionResource("", "v1", "services")
ENDPOINTS = GroupVersionResource("", "v1", "endpoints")
SECRETS = GroupVersionResource("", "v1", "secrets")
CONFIGMAPS = GroupVersionResource("", "v1", "configmaps")
PERSISTENTVOLUMECLAIMS = GroupVersionResource("", "v1", "persistentvolumeclaims")
SERVICEACCOUNTS = GroupVersionResource("", "v1", "serviceaccounts")
LIMITRANGES = GroupVersionResource("", "v1", "limitranges")
RESOURCEQUOTAS = GroupVersionResource("", "v1", "resourcequotas")
EVENTS = GroupVersionResource("", "v1", "events")
DEPLOYMENTS = GroupVersionResource("apps", "v1", "deployments")
REPLICASETS = GroupVersionResource("apps", "v1", "replicasets")
HORIZONTALPODAUTOSCALERS = GroupVersionResource("autoscaling", "v2", "horizontalpodautoscalers")
ENDPOINTSLICES = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
PODDISRUPTIONBUDGETS = GroupVersionResource("policy", "v1", "poddisruptionbudgets")
NETWORKPOLICIES = GroupVersionResource("networking.k8s.io", "v1", "networkpolicies")
LEASES = GroupVersionResource("coordination.k8s.io", "v1", "leases")
ROLES = GroupVersionResource("rbac.authorization.k8s.io", "v1", "roles")
ROLEBINDINGS = GroupVersionResource("rbac.authorization.k8s.io", "v1", "rolebindings")
CLUSTERROLES = GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterroles")
CLUSTERROLEBINDINGS = GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterrolebindings")
EVENTS_V1 = GroupVersionResource("events.k8s.io", "v1", "events")
PRIORITYCLASSES = GroupVersionResource("scheduling.k8s.io", "v1", "priorityclasses")
CRDS = GroupVersionResource("apiextensions.k8s.io", "v1", "customresourcedefinitions")


@dataclass(frozen=True, eq=False)
class ApiResource:
    """One kind, served at one version."""

    gvr: GroupVersionResource
    kind: str
    singular: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    has_generation: bool = False
    custom: bool = False
    columns: tuple[TableColumn, ...] = ()  # of a custom kind
    type_schema: TypeSchema | None = None  # of a custom kind; built-in kinds have it by name
    scale_paths: Obj | None = None  # of a custom kind with a scale subresource
    schema: Obj | None = None  # a custom kind's structural schema
    storage: GroupVersionResource | None = None  # the storage version, when another one
    strategy: Strategy = field(default_factory=Strategy)

    @property
    def storage_gvr(self) -> GroupVersionResource:
        return self.storage or self.gvr

    @property
    def storage_schema(self) -> TypeSchema:
        """The type schema of the storage version."""
        return self.type_schema or builtin_type(self.kind)

    @property
    def served_schema(self) -> TypeSchema:
        """The type schema of the served version."""
        if self.gvr == EVENTS_V1:
            return builtin_type("EventsEvent")
        return self.storage_schema

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"


def _builtin(  # noqa: PLR0913 - one row of the table below
    gvr: GroupVersionResource,
    kind: str,
    short: str = "",
    *,
    sub: str = "",
    generation: bool = False,
    namespaced: bool = True,
    categories: tuple[str, ...] = (),
    storage: GroupVersionResource | None = None,
) -> ApiResource:
    return ApiResource(
        gvr=gvr,
        kind=kind,
        singular=kind.lower(),
        namespaced=namespaced,
        short_names=tuple(short.split()),
        categories=categories,
        subresources=frozenset(sub.split()),
        has_generation=generation,
        storage=storage,
    )


_ALL = ("all",)
_BUILTINS: tuple[ApiResource, ...] = (
    _builtin(CONFIGMAPS, "ConfigMap", "cm"),
    _builtin(ENDPOINTS, "Endpoints", "ep"),
    _builtin(EVENTS, "Event", "ev"),
    _builtin(LIMITRANGES, "LimitRange", "limits"),
    _builtin(NAMESPACES, "Namespace", "ns", sub="status finalize", namespaced=False),
    _builtin(NODES, "Node", "no", sub="status", namespaced=False),
    _builtin(PODS, "Pod", "po", sub="status log resize", generation=True, categories=_ALL),
    _builtin(RESOURCEQUOTAS, "ResourceQuota", "quota", sub="status"),
    _builtin(SECRETS, "Secret"),
    _builtin(SERVICEACCOUNTS, "ServiceAccount", "sa"),
    _builtin(PERSISTENTVOLUMECLAIMS, "PersistentVolumeClaim", "pvc", sub="status"),
    _builtin(SERVICES, "Service", "svc", sub="status", categories=_ALL),
    _builtin(
        DEPLOYMENTS, "Deployment", "deploy", sub="status scale", generation=True, categories=_ALL
    ),
    _builtin(REPLICASETS, "ReplicaSet", "rs", sub="status scale", generation=True, categories=_ALL),
    _builtin(
        HORIZONTALPODAUTOSCALERS,
        "HorizontalPodAutoscaler",
        "hpa",
        sub="status",
        categories=_ALL,
    ),
    _builtin(ENDPOINTSLICES, "EndpointSlice", generation=True),
    _builtin(EVENTS_V1, "Event", "ev", storage=EVENTS),
    _builtin(PODDISRUPTIONBUDGETS, "PodDisruptionBudget", "pdb", sub="status", generation=True),
    _builtin(NETWORKPOLICIES, "NetworkPolicy", "netpol", generation=True),
    _builtin(LEASES, "Lease"),
    _builtin(ROLES, "Role"),
    _builtin(ROLEBINDINGS, "RoleBinding"),
    _builtin(CLUSTERROLES, "ClusterRole", namespaced=False),
    _builtin(CLUSTERROLEBINDINGS, "ClusterRoleBinding", namespaced=False),
    _builtin(PRIORITYCLASSES, "PriorityClass", "pc", namespaced=False),
    _builtin(
        CRDS,
        "CustomResourceDefinition",
        "crd crds",
        sub="status",
        generation=True,
        namespaced=False,
        categories=("api-extensions",),
    ),
)


def builtin_resources() -> tuple[ApiResource, ...]:
    """The resources that are served without any CRD."""
    strategies = builtin_strategies()
    return tuple(
        replace(row, strategy=strategies[row.kind]) if row.kind in strategies else row
        for row in _BUILTINS
    )


class Registry:
    """The resources that are served now. CRDs add and remove entries."""

    def __init__(self, resources: Iterable[ApiResource] | None = None) -> None:
        self._resources: dict[GroupVersionResource, ApiResource] = {
            item.gvr: item for item in (builtin_resources() if resources is None else resources)
        }
        self.generation = 0

    def get(self, gvr: GroupVersionResource) -> ApiResource | None:
        return self._resources.get(gvr)

    def add(self, resource: ApiResource) -> None:
        self._resources[resource.gvr] = resource
        self.generation += 1

    def remove(self, gvr: GroupVersionResource) -> None:
        if self._resources.pop(gvr, None):
            self.generation += 1

    def __iter__(self) -> Iterator[ApiResource]:
        return iter(tuple(self._resources.values()))

    def storage_resources(self) -> dict[GroupVersionResource, ApiResource]:
        """The resources at their storage version: one per stored collection."""
        return {item.storage_gvr: item for item in self if item.storage_gvr == item.gvr}
