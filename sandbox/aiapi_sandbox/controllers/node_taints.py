"""The node lifecycle controller's part in `kubectl cordon`: the taint of a cordoned node."""

from collections.abc import Mapping

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.controllers.manager import MapFunc, ObjectKey, object_key
from aiapi_sandbox.controllers.scheduler import CORDON_TAINT
from aiapi_sandbox.kinds.resources import NODES, GroupVersionResource
from aiapi_sandbox.storage.store import Store


class NodeTaintController:
    """Adds the taint to a cordoned node, and removes it when the node is uncordoned."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        return {NODES: lambda obj: [object_key(obj)]}

    def reconcile(self, key: ObjectKey) -> float | None:
        if self._store.find(NODES, None, key.name) is not None:
            self._store.mutate(NODES, None, key.name, self._set_taint)
        return None

    def _set_taint(self, node: Obj) -> None:
        spec = node["spec"]
        taints = spec.pop("taints", None) or []
        cordoned = [taint for taint in taints if taint["key"] == CORDON_TAINT]
        kept = [taint for taint in taints if taint["key"] != CORDON_TAINT]
        if spec.get("unschedulable"):
            new = {"key": CORDON_TAINT, "effect": "NoSchedule", "timeAdded": self._store.now()}
            kept += cordoned or [new]
        if kept:
            spec["taints"] = kept
