"""Controller references: finding, adopting and releasing controlled objects."""

from collections.abc import Mapping
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.selectors import matches_selector
from aiapi_sandbox.storage.store import Store


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the reference to the controller, or None."""
    for reference in obj["metadata"].get("ownerReferences", ()):
        if reference.get("controller"):
            return dict(reference)
    return None


def controller_reference(owner: Mapping[str, Any]) -> Obj:
    """Return an owner reference that makes `owner` the controller."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def claim(store: Store, gvr: Any, owner: Mapping[str, Any]) -> list[Obj]:
    """Adopt matching orphans, release objects that no longer match; return the controlled ones."""
    namespace, uid = owner["metadata"]["namespace"], owner["metadata"]["uid"]
    claimed = []
    for obj in store.controlled(gvr, namespace, uid):
        if _selects(owner, obj):
            claimed.append(obj)
        else:
            _release(store, gvr, obj, uid)
    orphans = [obj for obj in store.controlled(gvr, namespace) if _selects(owner, obj)]
    claimed += [_adopt(store, gvr, obj, owner) for obj in orphans if _may_adopt(obj, owner)]
    return claimed


def _selects(owner: Mapping[str, Any], obj: Mapping[str, Any]) -> bool:
    return matches_selector(owner["spec"]["selector"], obj["metadata"].get("labels") or {})


def _may_adopt(obj: Mapping[str, Any], owner: Mapping[str, Any]) -> bool:
    return not any("deletionTimestamp" in item["metadata"] for item in (obj, owner))


def _adopt(store: Store, gvr: Any, obj: Mapping[str, Any], owner: Mapping[str, Any]) -> Obj:
    def add(found: Obj) -> None:
        found["metadata"].setdefault("ownerReferences", []).append(controller_reference(owner))

    meta = obj["metadata"]
    return store.mutate(gvr, meta["namespace"], meta["name"], add)


def _release(store: Store, gvr: Any, obj: Mapping[str, Any], uid: str) -> None:
    def drop(found: Obj) -> None:
        references = found["metadata"].get("ownerReferences", [])
        found["metadata"]["ownerReferences"] = [r for r in references if r["uid"] != uid]

    meta = obj["metadata"]
    store.mutate(gvr, meta["namespace"], meta["name"], drop)
