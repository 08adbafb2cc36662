"""The object that an autoscaler scales: any kind with a scale subresource."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apiserver.scale import read_path, scale_paths, set_path
from aiapi_sandbox.kinds.resources import ApiResource
from aiapi_sandbox.storage.store import Store


@dataclass(frozen=True)
class ScaleTarget:
    """An existing object and where its replicas are."""

    store: Store
    resource: ApiResource
    object: Obj

    @property
    def replicas(self) -> int:
        """The replicas in its spec."""
        return int(read_path(self.object, scale_paths(self.resource)["specReplicasPath"]) or 0)

    @property
    def current(self) -> int:
        """The replicas in its status."""
        return int(read_path(self.object, scale_paths(self.resource)["statusReplicasPath"]) or 0)

    def set_replicas(self, count: int) -> None:
        path = scale_paths(self.resource)["specReplicasPath"]
        meta = self.object["metadata"]
        self.store.mutate(
            self.resource.gvr,
            meta["namespace"],
            meta["name"],
            lambda found: set_path(found, path, count),
        )


def find_target(store: Store, namespace: str, reference: Mapping[str, Any]) -> ScaleTarget | None:
    """The object that a scaleTargetRef names; None when it does not exist or cannot be scaled."""
    for resource in store.registry:
        same = resource.kind == reference["kind"] and "scale" in resource.subresources
        if same and resource.gvr.api_version == (reference.get("apiVersion") or "apps/v1"):
            found = store.find(resource.gvr, namespace, reference["name"])
            return ScaleTarget(store, resource, found) if found is not None else None
    return None
