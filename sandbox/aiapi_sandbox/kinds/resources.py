"""The resources the sandbox knows: names, verbs and subresources of the built-in kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from aiapi_sandbox.errors import Obj
from aiapi_sandbox.kinds.columns import Column
from aiapi_sandbox.kinds.shapes import Shape
from aiapi_sandbox.kinds.strategies import builtin_strategies
from aiapi_sandbox.kinds.strategy import Strategy


class ResourceKey(NamedTuple):
    """Names a collection of objects, like the path of a request does."""

    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


NAMESPACES = ResourceKey("", "v1", "namespaces")
NODES = ResourceKey("", "v1", "nodes")
PODS = ResourceKey("", "v1", "pods")
SERVICES = ResourceKey("", "v1", "services")
ENDPOINTS = ResourceKey("", "v1", "endpoints")
SECRETS = ResourceKey("", "v1", "secrets")
CONFIGMAPS = ResourceKey("", "v1", "configmaps")
SERVICEACCOUNTS = ResourceKey("", "v1", "serviceaccounts")
EVENTS = ResourceKey("", "v1", "events")
DEPLOYMENTS = ResourceKey("apps", "v1", "deployments")
REPLICASETS = ResourceKey("apps", "v1", "replicasets")
ENDPOINTSLICES = ResourceKey("discovery.k8s.io", "v1", "endpointslices")
PODDISRUPTIONBUDGETS = ResourceKey("policy", "v1", "poddisruptionbudgets")
NETWORKPOLICIES = ResourceKey("networking.k8s.io", "v1", "networkpolicies")
LEASES = ResourceKey("coordination.k8s.io", "v1", "leases")
ROLES = ResourceKey("rbac.authorization.k8s.io", "v1", "roles")
ROLEBINDINGS = ResourceKey("rbac.authorization.k8s.io", "v1", "rolebindings")
CLUSTERROLES = ResourceKey("rbac.authorization.k8s.io", "v1", "clusterroles")
CLUSTERROLEBINDINGS = ResourceKey("rbac.authorization.k8s.io", "v1", "clusterrolebindings")
NEW_EVENTS = ResourceKey("events.k8s.io", "v1", "events")
PRIORITYCLASSES = ResourceKey("scheduling.k8s.io", "v1", "priorityclasses")
CRDS = ResourceKey("apiextensions.k8s.io", "v1", "customresourcedefinitions")


@dataclass(frozen=True, eq=False)
class Resource:
    """One kind as served at one version."""

    key: ResourceKey
    kind: str
    singular: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    counts_generation: bool = False
    custom: bool = False
    columns: tuple[Column, ...] = ()  # of a custom kind's table
    shape: Shape | None = (
        None  # a custom kind's fields; those of built-in kinds follow from their name
    )
    scale_paths: Obj | None = None  # where a custom kind keeps its replicas
    schema: Obj | None = None  # a custom kind's structural schema
    storage: ResourceKey | None = None  # where objects live, when that is another version or group
    strategy: Strategy = field(default_factory=Strategy)

    @property
    def stored_at(self) -> ResourceKey:
        return self.storage or self.key

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"


def _builtin(  # noqa: PLR0913 - a row of the table below
    key: ResourceKey,
    kind: str,
    short: str = "",
    *,
    sub: str = "",
    generation: bool = False,
    namespaced: bool = True,
    categories: tuple[str, ...] = (),
    storage: ResourceKey | None = None,
) -> Resource:
    return Resource(
        key=key,
        kind=kind,
        singular=kind.lower(),
        namespaced=namespaced,
        short_names=tuple(short.split()),
        categories=categories,
        subresources=frozenset(sub.split()),
        counts_generation=generation,
        storage=storage,
    )


_ALL = ("all",)
_BUILTINS: tuple[Resource, ...] = (
    _builtin(CONFIGMAPS, "ConfigMap", "cm"),
    _builtin(ENDPOINTS, "Endpoints", "ep"),
    _builtin(EVENTS, "Event", "ev"),
    _builtin(NAMESPACES, "Namespace", "ns", sub="status finalize", namespaced=False),
    _builtin(NODES, "Node", "no", sub="status", namespaced=False),
    _builtin(PODS, "Pod", "po", sub="status log resize", generation=True, categories=_ALL),
    _builtin(SECRETS, "Secret"),
    _builtin(SERVICEACCOUNTS, "ServiceAccount", "sa"),
    _builtin(SERVICES, "Service", "svc", sub="status", categories=_ALL),
    _builtin(
        DEPLOYMENTS, "Deployment", "deploy", sub="status scale", generation=True, categories=_ALL
    ),
    _builtin(REPLICASETS, "ReplicaSet", "rs", sub="status scale", generation=True, categories=_ALL),
    _builtin(ENDPOINTSLICES, "EndpointSlice", generation=True),
    _builtin(NEW_EVENTS, "Event", "ev", storage=EVENTS),
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


def builtin_resources() -> tuple[Resource, ...]:
    """Everything that is served before there is any CRD."""
    strategies = builtin_strategies()
    return tuple(
        replace(row, strategy=strategies[row.kind]) if row.kind in strategies else row
        for row in _BUILTINS
    )


class Registry:
    """Which resources are served now; CRDs add to it and take from it."""

    def __init__(self, resources: Iterable[Resource] | None = None) -> None:
        self._resources: dict[ResourceKey, Resource] = {
            item.key: item for item in (builtin_resources() if resources is None else resources)
        }
        self.generation = 0

    def get(self, key: ResourceKey) -> Resource | None:
        return self._resources.get(key)

    def add(self, resource: Resource) -> None:
        self._resources[resource.key] = resource
        self.generation += 1

    def remove(self, key: ResourceKey) -> None:
        if self._resources.pop(key, None):
            self.generation += 1

    def __iter__(self) -> Iterator[Resource]:
        return iter(tuple(self._resources.values()))

    def stored(self) -> dict[ResourceKey, Resource]:
        """One resource for each place where objects live."""
        return {item.stored_at: item for item in self if item.stored_at == item.key}
