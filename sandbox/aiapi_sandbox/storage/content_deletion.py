"""Namespaces and CRDs: deleting one deletes what it holds, and it goes when it is empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.kinds.resources import (
    CRDS,
    NAMESPACES,
    ApiResource,
    GroupVersionResource,
    Registry,
)

_CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_KEYS = {"Namespace": NAMESPACES, "CustomResourceDefinition": CRDS}


class ContentStore(Protocol):
    """What this module needs of the store, which calls it."""

    @property
    def registry(self) -> Registry: ...
    def resource(self, gvr: GroupVersionResource) -> ApiResource: ...
    def find(self, gvr: GroupVersionResource, namespace: str | None, name: str) -> Obj | None: ...
    def get(self, gvr: GroupVersionResource, namespace: str | None, name: str) -> Obj: ...
    def scan(self, gvr: GroupVersionResource, namespace: str | None = None) -> Iterable[Obj]: ...
    def delete(
        self,
        gvr: GroupVersionResource,
        namespace: str | None,
        name: str,
        propagation: Literal["Background"],
    ) -> Obj: ...
    def finish(self, gvr: GroupVersionResource, obj: Obj) -> None: ...


def add_deletion_finalizer(obj: Obj) -> None:
    """Keep an object that is being deleted until its content is gone."""
    if obj["kind"] == "Namespace":
        obj.setdefault("status", {})["phase"] = "Terminating"
    elif obj["kind"] == "CustomResourceDefinition":
        held = obj["metadata"].setdefault("finalizers", [])
        if _CRD_FINALIZER not in held:
            held.append(_CRD_FINALIZER)


def delete_content(store: ContentStore, owner: Obj) -> None:
    if owner["kind"] not in _KEYS:
        return
    for gvr, namespace, name in tuple(_content(store, owner)):
        if store.find(gvr, namespace, name) is not None:
            store.delete(gvr, namespace, name, "Background")
    _release(store, _KEYS[owner["kind"]], owner["metadata"]["name"])


def finalize_parents(store: ContentStore, resource: ApiResource, namespace: str) -> None:
    """Called when an object is gone: its namespace or CRD may have waited for that."""
    if namespace:
        _release(store, NAMESPACES, namespace)
    if resource.custom:
        _release(store, CRDS, f"{resource.gvr.plural}.{resource.gvr.group}")


def _content(store: ContentStore, owner: Obj) -> Iterator[tuple[GroupVersionResource, str, str]]:
    name = owner["metadata"]["name"]
    for kind in store.registry.storage_resources():
        if owner["kind"] == "Namespace":
            inside = store.scan(kind, name) if store.resource(kind).namespaced else ()
        else:
            inside = store.scan(kind) if f"{kind.plural}.{kind.group}" == name else ()
        for obj in inside:
            yield kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _release(store: ContentStore, gvr: GroupVersionResource, name: str) -> None:
    owner = store.find(gvr, None, name)
    if owner is None or "deletionTimestamp" not in owner["metadata"]:
        return
    if next(_content(store, owner), None) is not None:
        return
    free = store.get(gvr, None, name)
    if gvr == NAMESPACES:
        free["spec"].pop("finalizers", None)
    else:
        free["metadata"]["finalizers"].remove(_CRD_FINALIZER)
    store.finish(gvr, free)
