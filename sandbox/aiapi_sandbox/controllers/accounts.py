"""What every namespace has: a default ServiceAccount and the ConfigMap with the API's CA."""

from collections.abc import Iterable, Mapping

from aiapi_sandbox.controllers.loop import Key, Route
from aiapi_sandbox.errors import Obj
from aiapi_sandbox.kinds.resources import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS, ResourceKey
from aiapi_sandbox.store import Store

CA_CONFIGMAP = "kube-root-ca.crt"


class NamespaceContentController:
    """Creates them, and again when they are deleted."""

    def __init__(self, store: Store, ca_certificate: str) -> None:
        self._store = store
        self._ca_certificate = ca_certificate

    @property
    def routes(self) -> Mapping[ResourceKey, Route]:
        return {
            NAMESPACES: lambda obj: [Key("", obj["metadata"]["name"])],
            SERVICEACCOUNTS: self._of("default"),
            CONFIGMAPS: self._of(CA_CONFIGMAP),
        }

    @staticmethod
    def _of(name: str) -> Route:
        def route(obj: Obj) -> Iterable[Key]:
            if obj["metadata"]["name"] == name:
                yield Key("", obj["metadata"]["namespace"])

        return route

    def reconcile(self, key: Key) -> float | None:
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
