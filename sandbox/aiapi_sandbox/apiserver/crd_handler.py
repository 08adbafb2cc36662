"""CustomResourceDefinitions: registers their resources and sets their conditions."""

from __future__ import annotations

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apiserver.table_convertor import custom_columns
from aiapi_sandbox.kinds.resources import CRDS, ApiResource, GroupVersionResource
from aiapi_sandbox.kinds.strategies.custom_resources import CustomResourceStrategy
from aiapi_sandbox.kinds.type_schema import custom_resource_type
from aiapi_sandbox.storage.store import Store
from aiapi_sandbox.storage.watch_cache import WatchEvent


class CRDHandler:
    """Keeps the registry in sync with the CRDs in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._registered: dict[str, list[GroupVersionResource]] = {}

    def attach(self) -> None:
        self._store.add_event_handler(self._on_event)
        for crd in self._store.list(CRDS):
            self._register(crd)

    def _on_event(self, event: WatchEvent) -> None:
        if event.gvr != CRDS:
            return
        crd = event.object
        if event.type == "DELETED":
            self._unregister(crd["metadata"]["name"])
        elif "deletionTimestamp" not in crd["metadata"]:
            if event.previous is None or event.previous["spec"] != crd["spec"]:
                self._unregister(crd["metadata"]["name"])
                self._register(crd)
            if not crd["status"].get("conditions"):
                self._establish(crd)

    def _unregister(self, name: str) -> None:
        for gvr in self._registered.pop(name, ()):
            self._store.registry.remove(gvr)

    def _register(self, crd: Obj) -> None:
        spec = crd["spec"]
        version = next(item["name"] for item in spec["versions"] if item.get("storage"))
        storage = GroupVersionResource(spec["group"], version, spec["names"]["plural"])
        for item in spec["versions"]:
            if item.get("served"):
                resource = _resource(spec, item, storage)
                self._store.registry.add(resource)
                self._registered.setdefault(crd["metadata"]["name"], []).append(resource.gvr)

    def _establish(self, crd: Obj) -> None:
        now = self._store.now()
        names = crd["spec"]["names"]
        conditions = [
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]

        def accept(obj: Obj) -> None:
            obj["status"]["acceptedNames"] = dict(names)
            obj["status"]["conditions"] = [
                {
                    "type": kind,
                    "status": "True",
                    "lastTransitionTime": now,
                    "reason": reason,
                    "message": message,
                }
                for kind, reason, message in conditions
            ]

        self._store.mutate(CRDS, None, crd["metadata"]["name"], accept, "status")


def _resource(spec: Obj, version: Obj, storage: GroupVersionResource) -> ApiResource:
    names, parts = spec["names"], version.get("subresources") or {}
    schema = version.get("schema", {}).get("openAPIV3Schema") or {}
    gvr = GroupVersionResource(spec["group"], version["name"], names["plural"])
    scale = parts.get("scale")
    return ApiResource(
        gvr=gvr,
        kind=names["kind"],
        singular=names.get("singular") or names["kind"].lower(),
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset(parts) & {"status", "scale"},
        has_generation=True,
        custom=True,
        columns=custom_columns(version.get("additionalPrinterColumns")),
        type_schema=custom_resource_type(schema),
        scale_paths=scale,
        schema=schema,
        storage=None if gvr == storage else storage,
        strategy=CustomResourceStrategy(schema, scale, has_status_subresource="status" in parts),
    )
