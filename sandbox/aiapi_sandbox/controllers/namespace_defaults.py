"""The default objects of every namespace: a ServiceAccount and the ConfigMap with the API's CA."""

from collections.abc import Iterable, Mapping

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.controllers.manager import MapFunc, ObjectKey
from aiapi_sandbox.kinds.resources import (
    CONFIGMAPS,
    NAMESPACES,
    SERVICEACCOUNTS,
    GroupVersionResource,
)
from aiapi_sandbox.storage.store import Store

CA_CONFIGMAP = "kube-root-ca.crt"


class NamespaceDefaultsController:
    """Creates them, also after they were deleted."""

    def __init__(self, store: Store, ca_certificate: str) -> None:
        self._store = store
        self._ca_certificate = ca_certificate

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        return {
            NAMESPACES: lambda obj: [ObjectKey("", obj["metadata"]["name"])],
            SERVICEACCOUNTS: self._named("default"),
            CONFIGMAPS: self._named(CA_CONFIGMAP),
        }

    @staticmethod
    def _named(name: str) -> MapFunc:
        def route(obj: Obj) -> Iterable[ObjectKey]:
            if obj["metadata"]["name"] == name:
                yield ObjectKey("", obj["metadata"]["namespace"])

        return route

    def reconcile(self, key: ObjectKey) -> float | None:
        namespace = self._store.find(NAMESPACES, None, key.name)
        if namespace is None or "deletionTimestamp" in namespace["metadata"]:
            return None
        meta = {"namespace": key.name}
        if self._store.find(SERVICEACCOUNTS, key.name, "default") is None:
            self._store.create(SERVICEACCOUNTS, {"metadata": meta | {"name": "default"}})
        if self._store.find(CONFIGMAPS, key.name, CA_CONFIGMAP) is None:
            data = {"ca.crt": self._ca_certificate}
            self._store.create(
                CONFIGMAPS, {"metadata": meta | {"name": CA_CONFIGMAP}, "data": data}
            )
        return None
