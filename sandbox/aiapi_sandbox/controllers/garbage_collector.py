"""The garbage collector: deletes objects of any kind whose owners no longer exist.

Each sweep checks all objects, so it needs no record of past deletions. A sweep of a few thousand
objects takes milliseconds, and runs only after changes that can affect ownership.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.kinds.resources import GroupVersionResource
from aiapi_sandbox.storage.store import Store
from aiapi_sandbox.storage.watch_cache import WatchEvent

logger = logging.getLogger(__name__)
SETTLE_SECONDS = 0.02
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True)
class ObjectIdentity:
    """The location of an object."""

    gvr: GroupVersionResource
    namespace: str
    name: str


def affects_ownership(event: WatchEvent) -> bool:
    """Whether a change can orphan an object, or unblock the deletion of an owner."""
    meta = event.object["metadata"]
    if event.type == "DELETED":
        return True
    if event.type == "ADDED":
        return bool(meta.get("ownerReferences"))
    before = (event.previous or event.object)["metadata"]
    return "deletionTimestamp" in meta or meta.get("ownerReferences") != before.get(
        "ownerReferences"
    )


class GarbageCollector:
    """Sweeps over a snapshot of all objects."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dirty = asyncio.Event()
        self._dirty.set()
        store.add_event_handler(self._on_event)

    def _on_event(self, event: WatchEvent) -> None:
        if affects_ownership(event):
            self._dirty.set()

    async def run(self) -> None:
        """Sweep after changes, in batches, until cancelled."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._dirty.clear()
            try:
                self.sweep()
            except ApiError:
                logger.exception("garbage collection failed; retrying")
                self._dirty.set()

    def sweep(self) -> None:
        """Collect garbage among the objects that exist now."""
        objects = dict(self._all_objects())
        by_uid = {obj["metadata"]["uid"]: identity for identity, obj in objects.items()}
        dependents: dict[str, list[ObjectIdentity]] = {}
        for identity, obj in objects.items():
            for reference in obj["metadata"].get("ownerReferences", ()):
                dependents.setdefault(reference["uid"], []).append(identity)
        for identity, obj in objects.items():
            self._collect(identity, obj, objects, by_uid)
        for identity, obj in objects.items():
            self._finalize(identity, obj, dependents.get(obj["metadata"]["uid"], []))

    def _all_objects(self) -> Iterator[tuple[ObjectIdentity, Obj]]:
        for gvr in self._store.registry.storage_resources():
            for obj in self._store.scan(gvr):
                meta = obj["metadata"]
                yield ObjectIdentity(gvr, meta.get("namespace", ""), meta["name"]), obj

    def _collect(
        self,
        identity: ObjectIdentity,
        obj: Mapping[str, Any],
        objects: Mapping[ObjectIdentity, Obj],
        by_uid: Mapping[str, ObjectIdentity],
    ) -> None:
        """Delete an object without existing owners, or remove its dangling references."""
        references = obj["metadata"].get("ownerReferences", ())
        if not references or "deletionTimestamp" in obj["metadata"]:
            return
        missing = {r["uid"] for r in references if not self._is_owner(r, identity, objects, by_uid)}
        waiting = {r["uid"] for r in references if self._waits(r, objects, by_uid)}
        if len(missing | waiting) == len(references):
            self._delete(identity, "Foreground" if waiting else "Background")
        elif missing | waiting:
            self._drop_references(identity, missing | waiting)

    @staticmethod
    def _is_owner(
        reference: Mapping[str, Any],
        identity: ObjectIdentity,
        objects: Mapping[ObjectIdentity, Obj],
        by_uid: Mapping[str, ObjectIdentity],
    ) -> bool:
        """Whether the owner exists, and is cluster-scoped or in the same namespace."""
        owner = by_uid.get(reference["uid"])
        return (
            owner is not None
            and owner.name == reference["name"]
            and owner.namespace in ("", identity.namespace)
            and objects[owner]["kind"] == reference["kind"]
        )

    @staticmethod
    def _waits(
        reference: Mapping[str, Any],
        objects: Mapping[ObjectIdentity, Obj],
        by_uid: Mapping[str, ObjectIdentity],
    ) -> bool:
        """Whether the owner is being deleted in the foreground, that is, after its dependents."""
        owner = by_uid.get(reference["uid"])
        return owner is not None and FOREGROUND in objects[owner]["metadata"].get("finalizers", ())

    def _finalize(
        self, identity: ObjectIdentity, obj: Mapping[str, Any], dependents: list[ObjectIdentity]
    ) -> None:
        meta = obj["metadata"]
        if "deletionTimestamp" not in meta:
            return
        finalizers = meta.get("finalizers", ())
        if ORPHAN in finalizers:
            for dependent in dependents:
                self._drop_references(dependent, {meta["uid"]})
            self._drop_finalizer(identity, ORPHAN)
        elif FOREGROUND in finalizers and not any(
            self._blocks(dependent, meta["uid"]) for dependent in dependents
        ):
            self._drop_finalizer(identity, FOREGROUND)

    def _blocks(self, identity: ObjectIdentity, owner: str) -> bool:
        obj = self._store.find(identity.gvr, identity.namespace, identity.name)
        references = obj["metadata"].get("ownerReferences", ()) if obj else ()
        return any(r["uid"] == owner and r.get("blockOwnerDeletion") for r in references)

    # --- writes, which ignore objects that were removed in the meantime

    def _delete(self, identity: ObjectIdentity, propagation: Any) -> None:
        try:
            self._store.delete(identity.gvr, identity.namespace, identity.name, propagation)
        except ApiError as error:
            _ignore_missing(error)

    def _drop_references(self, identity: ObjectIdentity, owners: set[str]) -> None:
        def change(found: Obj) -> None:
            kept = [r for r in found["metadata"]["ownerReferences"] if r["uid"] not in owners]
            found["metadata"]["ownerReferences"] = kept

        self._mutate(identity, change)

    def _drop_finalizer(self, identity: ObjectIdentity, name: str) -> None:
        def change(found: Obj) -> None:
            found["metadata"]["finalizers"] = [
                item for item in found["metadata"].get("finalizers", ()) if item != name
            ]

        self._mutate(identity, change)

    def _mutate(self, identity: ObjectIdentity, change: Any) -> None:
        try:
            self._store.mutate(identity.gvr, identity.namespace, identity.name, change)
        except ApiError as error:
            _ignore_missing(error)


def _ignore_missing(error: ApiError) -> None:
    if error.status != 404:
        raise error
