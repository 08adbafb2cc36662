"""The ResourceQuota controller: writes what the pods of a namespace use into the status."""

from collections.abc import Iterable, Mapping

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.quantities import format_amount
from aiapi_sandbox.controllers.manager import MapFunc, ObjectKey, object_key
from aiapi_sandbox.kinds.quota_rules import used_of
from aiapi_sandbox.kinds.resources import PODS, RESOURCEQUOTAS, GroupVersionResource
from aiapi_sandbox.storage.store import Store


class ResourceQuotaController:
    """Admission does not read this status: it counts the pods itself."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        return {RESOURCEQUOTAS: lambda obj: [object_key(obj)], PODS: self._of_namespace}

    def _of_namespace(self, pod: Obj) -> Iterable[ObjectKey]:
        return map(object_key, self._store.scan(RESOURCEQUOTAS, pod["metadata"]["namespace"]))

    def reconcile(self, key: ObjectKey) -> float | None:
        quota = self._store.find(RESOURCEQUOTAS, *key)
        if quota is None:
            return None
        hard = quota["spec"].get("hard") or {}
        used = used_of(hard, self._store.scan(PODS, key.namespace))
        texts = {name: format_amount(name, amount) for name, amount in used.items()}

        def fill(found: Obj) -> None:
            found["status"] = {"hard": dict(hard), "used": texts}

        self._store.mutate(RESOURCEQUOTAS, *key, fill, "status")
        return None
