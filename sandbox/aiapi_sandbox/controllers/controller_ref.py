"""Owner references: who controls an object, and which of the candidates a controller may claim."""

from collections.abc import Mapping
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.selectors import matches_selector
from aiapi_sandbox.storage.store import Store


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the reference to the managing owner."""
    for reference in obj["metadata"].get("ownerReferences", ()):
        if reference.get("controller"):
            return dict(reference)
    return None


def controller_reference(owner: Mapping[str, Any]) -> Obj:
    """Return the reference that makes `owner` the managing one."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def claim(store: Store, gvr: Any, owner: Mapping[str, Any]) -> list[Obj]:
    """Return the objects of `gvr` that `owner` controls, after adoptions and releases."""
    namespace, uid = owner["metadata"]["namespace"], owner["metadata"]["uid"]
    mine = []
    for obj in tuple(store.scan(gvr, namespace)):
        reference = controller_of(obj)
        selected = matches_selector(owner["spec"]["selector"], obj["metadata"].get("labels") or {})
        if reference is None:
            if selected and _may_adopt(obj, owner):
                mine.append(_adopt(store, gvr, obj, owner))
        elif reference["uid"] == uid:
            if selected:
                mine.append(obj)
            else:
                _release(store, gvr, obj, uid)
    return mine


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
