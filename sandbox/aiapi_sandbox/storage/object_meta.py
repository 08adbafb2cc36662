"""The metadata that the server owns: what create, update and delete set, keep or ignore. Pure."""

from __future__ import annotations

import secrets
import uuid

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.json_copy import copy_json
from aiapi_sandbox.kinds.resources import PODS, ApiResource

_SERVER_OWNED = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "selfLink")
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # as in Kubernetes: without vowels


def fill_on_create(resource: ApiResource, meta: Obj, *, now: str) -> None:
    """Set name, UID, creation time and generation; drop what a client may not set."""
    if not meta.get("name") and meta.get("generateName"):
        suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))
        meta["name"] = meta["generateName"] + suffix
    meta.setdefault("name", "")
    for dropped in ("resourceVersion", "selfLink", "deletionTimestamp", "generation"):
        meta.pop(dropped, None)
    meta.pop("deletionGracePeriodSeconds", None)
    if not resource.namespaced:
        meta.pop("namespace", None)
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = now
    if resource.has_generation:
        meta["generation"] = 1


def merge_for_update(resource: ApiResource, new: Obj, old: Obj, subresource: str | None) -> Obj:
    """The old object with the fields that this request may change taken from the new one."""
    if subresource == "status":
        managed = new["metadata"].get("managedFields", old["metadata"].get("managedFields"))
        merged: Obj = copy_json(old)
        if managed is not None:
            merged["metadata"]["managedFields"] = managed
        merged.pop("status", None)
        if "status" in new:
            merged["status"] = new["status"]
        return merged
    new["apiVersion"], new["kind"] = old["apiVersion"], old["kind"]
    for name in (*_SERVER_OWNED, "deletionGracePeriodSeconds", "namespace", "resourceVersion"):
        new["metadata"].pop(name, None)
        if name in old["metadata"]:
            new["metadata"][name] = old["metadata"][name]
    if "status" in resource.subresources:
        new.pop("status", None)
        if "status" in old:
            new["status"] = copy_json(old["status"])
    return new


def is_unchanged(new: Obj, old: Obj) -> bool:
    """Whether two versions differ in nothing but their resourceVersion."""
    return {**new, "metadata": {**new["metadata"], "resourceVersion": ""}} == {
        **old,
        "metadata": {**old["metadata"], "resourceVersion": ""},
    }


def spec_changed(new: Obj, old: Obj) -> bool:
    """Whether a field outside metadata and status changed; such a write raises the generation."""
    ignored = ("metadata", "status")
    return {k: v for k, v in new.items() if k not in ignored} != {
        k: v for k, v in old.items() if k not in ignored
    }


def grace_period(resource: ApiResource, obj: Obj, requested: int | None) -> int:
    """Seconds until a deletion takes effect: only pods that run on a node have a grace period."""
    bound = resource.gvr == PODS and obj.get("spec", {}).get("nodeName")
    ended = obj.get("status", {}).get("phase") in ("Succeeded", "Failed")
    if not bound or ended:
        return 0
    default = obj["spec"].get("terminationGracePeriodSeconds", 30)
    return int(default if requested is None else max(0, requested))


def mark_deleted(meta: Obj, grace: int, *, deletion_time: str) -> None:
    """Set the deletion timestamp; a second deletion may only shorten the grace period."""
    if "deletionTimestamp" not in meta:
        if "generation" in meta:
            meta["generation"] += 1
    elif grace >= meta["deletionGracePeriodSeconds"]:
        return
    meta["deletionTimestamp"] = deletion_time
    meta["deletionGracePeriodSeconds"] = grace


def has_finalizers(obj: Obj) -> bool:
    in_namespace = obj["kind"] == "Namespace" and obj.get("spec", {}).get("finalizers")
    return bool(obj["metadata"].get("finalizers") or in_namespace)


def is_removable(obj: Obj) -> bool:
    """Whether a deleted object can be removed: no grace period and no finalizer is left."""
    meta = obj["metadata"]
    waiting = "deletionTimestamp" not in meta or meta.get("deletionGracePeriodSeconds")
    return not waiting and not has_finalizers(obj)
