"""Where each kind lives in the API: its group, version, plural and path."""

from dataclasses import dataclass
from typing import Any, TypeAlias

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as plain data, as it goes over the wire."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind. ``group`` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """As in a manifest's ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """The path of the group version; what lives there is listed by a GET on it."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def collection(self, namespace: str | None) -> str:
        """The path of all objects of this kind, in one namespace or (None) in all of them."""
        where = f"/namespaces/{namespace}" if namespace is not None else ""
        return f"{self.root}{where}/{self.plural}"

    def path(self, namespace: str, name: str, subresource: str = "") -> str:
        """The path of one object, or of a subresource of it."""
        tail = f"/{subresource}" if subresource else ""
        return f"{self.collection(namespace)}/{name}{tail}"


AIAPIS = Resource("aiapi.dev", "v1alpha1", "aiapis", "AIApi")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
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
"""The kinds an AIApi owns, in the order they are applied."""

_BY_KIND = {resource.kind: resource for resource in (AIAPIS, PODS, *CHILDREN)}


def of(manifest: Manifest) -> Resource:
    """The resource a manifest belongs to. KeyError for a kind the operator does not handle."""
    return _BY_KIND[manifest["kind"]]


FIELD_MANAGER = "aiapi-operator"
"""Who owns the fields that the operator writes, and the value of the managed-by label."""
MANAGED_BY_SELECTOR = f"app.kubernetes.io/managed-by={FIELD_MANAGER}"
"""Selects everything the operator made, pods included."""
INSTANCE_LABEL = "app.kubernetes.io/instance"
"""Names the AIApi that a child or a pod belongs to."""
