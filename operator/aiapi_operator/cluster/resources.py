"""API resources: group, version, plural, kind and path."""

from dataclasses import dataclass
from typing import Any, TypeAlias

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as plain data."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. ``group`` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """A manifest's ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """The path of the group version. A GET on it lists its resources."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def collection(self, namespace: str | None) -> str:
        """The path of all objects, in one namespace or (None) in all."""
        where = f"/namespaces/{namespace}" if namespace is not None else ""
        return f"{self.root}{where}/{self.plural}"

    def path(self, namespace: str, name: str, subresource: str = "") -> str:
        """The path of one object or its subresource."""
        tail = f"/{subresource}" if subresource else ""
        return f"{self.collection(namespace)}/{name}{tail}"


AIAPIS = Resource("aiapi.dev", "v1alpha1", "aiapis", "AIApi")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
PODS = Resource("", "v1", "pods", "Pod")
POD_DISRUPTION_BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICES = Resource("", "v1", "services", "Service")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")

CHILDREN = (
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    NETWORK_POLICIES,
    POD_DISRUPTION_BUDGETS,
    DEPLOYMENTS,
)
"""The kinds that an AIApi owns, in the order in which they are applied."""

_BY_KIND = {resource.kind: resource for resource in (AIAPIS, PODS, ENDPOINT_SLICES, *CHILDREN)}


def of(manifest: Manifest) -> Resource:
    """The resource of a manifest. Raises KeyError for a kind that the operator does not handle."""
    return _BY_KIND[manifest["kind"]]


FIELD_MANAGER = "aiapi-operator"
"""The field manager of the operator, and the value of the managed-by label."""
MANAGED_BY_SELECTOR = f"app.kubernetes.io/managed-by={FIELD_MANAGER}"
"""Selects all objects that the operator creates, including pods."""
SLICE_SELECTOR = f"endpointslice.kubernetes.io/managed-by={FIELD_MANAGER}"
"""Selects the EndpointSlices that lead to activators. Those of Kubernetes have the Service's labels
too."""
INSTANCE_LABEL = "app.kubernetes.io/instance"
"""The label with the name of the AIApi that a child or a pod belongs to."""
