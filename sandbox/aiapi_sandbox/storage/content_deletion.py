"""Deletion of Namespaces and CRDs: first their content, then their finalizer."""

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
_PARENTS = {"Namespace": NAMESPACES, "CustomResourceDefinition": CRDS}


class ContentStore(Protocol):
    """The part of the store that this module calls (the store imports this module)."""

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
    def finalize(self, gvr: GroupVersionResource, obj: Obj) -> None: ...


def add_deletion_finalizer(obj: Obj) -> None:
    """Keep a Namespace or CRD that is being deleted until its content is gone."""
    if obj["kind"] == "Namespace":
        obj.setdefault("status", {})["phase"] = "Terminating"
    elif obj["kind"] == "CustomResourceDefinition":
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if _CRD_FINALIZER not in finalizers:
            finalizers.append(_CRD_FINALIZER)


def delete_content(store: ContentStore, parent: Obj) -> None:
    if parent["kind"] not in _PARENTS:
        return
    for gvr, namespace, name in tuple(_content(store, parent)):
        if store.find(gvr, namespace, name) is not None:
            store.delete(gvr, namespace, name, "Background")
    _finalize_if_empty(store, _PARENTS[parent["kind"]], parent["metadata"]["name"])


def finalize_parents(store: ContentStore, resource: ApiResource, namespace: str) -> None:
    """Called after an object is removed: its Namespace or CRD may have been waiting for that."""
    if namespace:
        _finalize_if_empty(store, NAMESPACES, namespace)
    if resource.custom:
        _finalize_if_empty(store, CRDS, f"{resource.gvr.plural}.{resource.gvr.group}")


def _content(store: ContentStore, parent: Obj) -> Iterator[tuple[GroupVersionResource, str, str]]:
    name = parent["metadata"]["name"]
    for gvr in store.registry.storage_resources():
        if parent["kind"] == "Namespace":
            content = store.scan(gvr, name) if store.resource(gvr).namespaced else ()
        else:
            content = store.scan(gvr) if f"{gvr.plural}.{gvr.group}" == name else ()
        for obj in content:
            yield gvr, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _finalize_if_empty(store: ContentStore, gvr: GroupVersionResource, name: str) -> None:
    parent = store.find(gvr, None, name)
    if parent is None or "deletionTimestamp" not in parent["metadata"]:
        return
    if next(_content(store, parent), None) is not None:
        return
    finalized = store.get(gvr, None, name)
    if gvr == NAMESPACES:
        finalized["spec"].pop("finalizers", None)
    else:
        finalized["metadata"]["finalizers"].remove(_CRD_FINALIZER)
    store.finalize(gvr, finalized)
