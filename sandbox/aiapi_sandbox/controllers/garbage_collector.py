"""The garbage collector: objects whose owners are gone go too, of every kind.

It looks at everything there is, so it does not matter when an owner went, or who was running then.
A sweep of some thousand objects takes milliseconds; it runs only after changes that can matter.
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
    """Where an object lives."""

    key: GroupVersionResource
    namespace: str
    name: str


def affects_ownership(change: WatchEvent) -> bool:
    """Whether a change can make something garbage, or free an owner that waits."""
    meta = change.object["metadata"]
    if change.type == "DELETED":
        return True
    if change.type == "ADDED":
        return bool(meta.get("ownerReferences"))
    before = (change.previous or change.object)["metadata"]
    return "deletionTimestamp" in meta or meta.get("ownerReferences") != before.get(
        "ownerReferences"
    )


class GarbageCollector:
    """One sweep at a time, over a picture of all objects."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dirty = asyncio.Event()
        self._dirty.set()
        store.listen(self._on_change)

    def _on_change(self, change: WatchEvent) -> None:
        if affects_ownership(change):
            self._dirty.set()

    async def run(self) -> None:
        """Sweep after changes, a few of them at once, until cancelled."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._dirty.clear()
            try:
                self.sweep()
            except ApiError:
                logger.exception("the garbage collector failed; it tries again")
                self._dirty.set()

    def sweep(self) -> None:
        """Collect until nothing more follows from what is there now."""
        objects = dict(self._everything())
        by_uid = {obj["metadata"]["uid"]: place for place, obj in objects.items()}
        dependents: dict[str, list[ObjectIdentity]] = {}
        for place, obj in objects.items():
            for reference in obj["metadata"].get("ownerReferences", ()):
                dependents.setdefault(reference["uid"], []).append(place)
        for place, obj in objects.items():
            self._collect(place, obj, objects, by_uid)
        for place, obj in objects.items():
            self._finalize(place, obj, dependents.get(obj["metadata"]["uid"], []))

    def _everything(self) -> Iterator[tuple[ObjectIdentity, Obj]]:
        for key in self._store.registry.stored():
            for obj in self._store.scan(key):
                meta = obj["metadata"]
                yield ObjectIdentity(key, meta.get("namespace", ""), meta["name"]), obj

    def _collect(
        self,
        place: ObjectIdentity,
        obj: Mapping[str, Any],
        objects: Mapping[ObjectIdentity, Obj],
        by_uid: Mapping[str, ObjectIdentity],
    ) -> None:
        """Delete an object without living owners; drop references to owners that are gone."""
        references = obj["metadata"].get("ownerReferences", ())
        if not references or "deletionTimestamp" in obj["metadata"]:
            return
        gone = {r["uid"] for r in references if not self._is_owner(r, place, objects, by_uid)}
        waiting = {r["uid"] for r in references if self._waits(r, objects, by_uid)}
        if len(gone | waiting) == len(references):
            self._delete(place, "Foreground" if waiting else "Background")
        elif gone | waiting:
            self._drop_references(place, gone | waiting)

    @staticmethod
    def _is_owner(
        reference: Mapping[str, Any],
        place: ObjectIdentity,
        objects: Mapping[ObjectIdentity, Obj],
        by_uid: Mapping[str, ObjectIdentity],
    ) -> bool:
        """An owner lives in the same namespace, or in none, under the name and kind given."""
        owner = by_uid.get(reference["uid"])
        return (
            owner is not None
            and owner.name == reference["name"]
            and owner.namespace in ("", place.namespace)
            and objects[owner]["kind"] == reference["kind"]
        )

    @staticmethod
    def _waits(
        reference: Mapping[str, Any],
        objects: Mapping[ObjectIdentity, Obj],
        by_uid: Mapping[str, ObjectIdentity],
    ) -> bool:
        """Whether the owner is being deleted in the foreground: it waits for its dependents."""
        owner = by_uid.get(reference["uid"])
        return owner is not None and FOREGROUND in objects[owner]["metadata"].get("finalizers", ())

    def _finalize(
        self, place: ObjectIdentity, obj: Mapping[str, Any], dependents: list[ObjectIdentity]
    ) -> None:
        meta = obj["metadata"]
        if "deletionTimestamp" not in meta:
            return
        finalizers = meta.get("finalizers", ())
        if ORPHAN in finalizers:
            for dependent in dependents:
                self._drop_references(dependent, {meta["uid"]})
            self._drop_finalizer(place, ORPHAN)
        elif FOREGROUND in finalizers and not any(
            self._blocks(dependent, meta["uid"]) for dependent in dependents
        ):
            self._drop_finalizer(place, FOREGROUND)

    def _blocks(self, place: ObjectIdentity, owner: str) -> bool:
        obj = self._store.find(place.key, place.namespace, place.name)
        references = obj["metadata"].get("ownerReferences", ()) if obj else ()
        return any(r["uid"] == owner and r.get("blockOwnerDeletion") for r in references)

    # --- writes; an object that went meanwhile needs none

    def _delete(self, place: ObjectIdentity, propagation: Any) -> None:
        try:
            self._store.delete(place.key, place.namespace, place.name, propagation)
        except ApiError as error:
            _ignore_missing(error)

    def _drop_references(self, place: ObjectIdentity, owners: set[str]) -> None:
        def change(found: Obj) -> None:
            kept = [r for r in found["metadata"]["ownerReferences"] if r["uid"] not in owners]
            found["metadata"]["ownerReferences"] = kept

        self._mutate(place, change)

    def _drop_finalizer(self, place: ObjectIdentity, name: str) -> None:
        def change(found: Obj) -> None:
            found["metadata"]["finalizers"] = [
                item for item in found["metadata"].get("finalizers", ()) if item != name
            ]

        self._mutate(place, change)

    def _mutate(self, place: ObjectIdentity, change: Any) -> None:
        try:
            self._store.mutate(place.key, place.namespace, place.name, change)
        except ApiError as error:
            _ignore_missing(error)


def _ignore_missing(error: ApiError) -> None:
    if error.status != 404:
        raise error
