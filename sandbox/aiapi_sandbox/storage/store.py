"""The sandbox's objects, in memory, with the life that Kubernetes gives them.

One Store serves the HTTP layer and the controllers in the same process. It is synchronous and
meant for one thread, the event loop's: a call is a transaction, so nobody needs a lock.
Objects handed out are copies, except by `peek`, `scan` and `subscribe`, which are read only.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Literal

from aiapi_sandbox.apimachinery.errors import (
    ApiError,
    Obj,
    already_exists,
    conflict,
    forbidden,
    invalid,
    not_found,
)
from aiapi_sandbox.apimachinery.json_copy import copy_json
from aiapi_sandbox.apimachinery.selectors import FieldQuery, LabelQuery, parse_fields, parse_labels
from aiapi_sandbox.kinds.metadata_validation import validate_metadata
from aiapi_sandbox.kinds.resources import (
    NAMESPACES,
    PODS,
    ApiResource,
    GroupVersionResource,
    Registry,
)
from aiapi_sandbox.storage.content_deletion import (
    add_deletion_finalizer,
    delete_content,
    finalize_parents,
)
from aiapi_sandbox.storage.watch_cache import EventType, WatchCache, Watcher, WatchEvent

Propagation = Literal["Background", "Foreground", "Orphan"]
EventHandler = Callable[[WatchEvent], None]
FieldTracker = Callable[[Obj, Obj | None], None]  # notes in the new object who changed what

_GC_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
_KEPT = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "selfLink")
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # as Kubernetes: no vowels, no bad words


def _same(new: Obj, old: Obj) -> bool:
    return {**new, "metadata": {**new["metadata"], "resourceVersion": ""}} == {
        **old,
        "metadata": {**old["metadata"], "resourceVersion": ""},
    }


class Store:
    """Create, read, update, delete and watch objects."""

    def __init__(
        self,
        registry: Registry | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        watch_cache_size: int = 10_000,
    ) -> None:
        self.registry = registry or Registry()
        self._clock = clock
        self._objects: dict[GroupVersionResource, dict[tuple[str, str], Obj]] = {}
        self._watch_cache = WatchCache(start=1000, size=watch_cache_size)
        self._handlers: list[EventHandler] = []
        for name in ("default", "kube-system"):
            self.create(NAMESPACES, {"metadata": {"name": name}})

    # --- reading

    @property
    def version(self) -> int:
        return self._watch_cache.version

    def now(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def resource(self, gvr: GroupVersionResource) -> ApiResource:
        resource = self.registry.get(gvr)
        if resource is None:
            message = "the server could not find the requested resource"
            raise ApiError(404, "NotFound", message, details={})
        return resource

    def _bucket(self, resource: ApiResource) -> dict[tuple[str, str], Obj]:
        return self._objects.setdefault(resource.storage_gvr, {})

    def find(self, gvr: GroupVersionResource, namespace: str | None, name: str) -> Obj | None:
        """The object itself, read only, or None."""
        resource = self.resource(gvr)
        place = (namespace or "" if resource.namespaced else "", name)
        return self._bucket(resource).get(place)

    def peek(self, gvr: GroupVersionResource, namespace: str | None, name: str) -> Obj:
        """The object itself, read only."""
        found = self.find(gvr, namespace, name)
        if found is None:
            raise not_found(gvr.group, gvr.plural, name)
        return found

    def get(self, gvr: GroupVersionResource, namespace: str | None, name: str) -> Obj:
        found: Obj = copy_json(self.peek(gvr, namespace, name))
        return found

    def scan(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        labels: LabelQuery = None,
        fields: FieldQuery = None,
    ) -> Iterator[Obj]:
        """Objects in order of namespace and name, read only."""
        resource = self.resource(gvr)
        by_labels, by_fields = parse_labels(labels), parse_fields(fields)
        for (place, _), obj in sorted(self._bucket(resource).items()):
            if namespace and resource.namespaced and place != namespace:
                continue
            if by_labels(obj["metadata"].get("labels") or {}) and by_fields(obj):
                yield obj

    def list(
        self,
        gvr: GroupVersionResource,
        namespace: str | None = None,
        labels: LabelQuery = None,
        fields: FieldQuery = None,
    ) -> list[Obj]:
        return [copy_json(obj) for obj in self.scan(gvr, namespace, labels, fields)]

    # --- watching

    def subscribe(
        self, gvr: GroupVersionResource, namespace: str | None = None, *, since: int | None = None
    ) -> Watcher:
        """Changes after version `since` (default: from now on). Close it when done."""
        resource = self.resource(gvr)
        return self._watch_cache.subscribe(resource.storage_gvr, namespace, since=since)

    async def watch(
        self, gvr: GroupVersionResource, namespace: str | None = None, since: int | None = None
    ) -> AsyncIterator[tuple[EventType, Obj]]:
        """Every object there is as ADDED, then changes; or only the changes after `since`."""
        with self.subscribe(gvr, namespace, since=since) as watcher:
            present = self.list(gvr, namespace) if since is None else []
            for obj in present:
                yield "ADDED", obj
            while event := await watcher.next():
                yield event.type, copy_json(event.object)

    def add_event_handler(self, handler: EventHandler) -> None:
        """Call back at once, inside the write, for every event of any resource."""
        self._handlers.append(handler)

    def close(self) -> None:
        """End all watches."""
        self._watch_cache.close()

    # --- writing

    def create(
        self,
        gvr: GroupVersionResource,
        obj: Obj,
        *,
        dry_run: bool = False,
        track: FieldTracker | None = None,
    ) -> Obj:
        resource = self.resource(gvr)
        new: Obj = copy_json(obj)
        new["apiVersion"], new["kind"] = resource.storage_gvr.api_version, resource.kind
        meta = new.setdefault("metadata", {})
        self._fill_metadata(resource, meta)
        if resource.namespaced:
            self._check_namespace(resource, meta)
        if "status" in resource.subresources and not resource.strategy.keeps_status_on_create:
            new.pop("status", None)
        resource.strategy.prepare_for_create(new)
        errors = validate_metadata(resource, meta) + resource.strategy.validate_create(new)
        if errors:
            raise invalid(gvr.group, resource.kind, meta["name"], errors)
        if self.find(gvr, meta.get("namespace"), meta["name"]) is not None:
            raise already_exists(gvr.group, gvr.plural, meta["name"])
        if track:
            track(new, None)
        if not dry_run:
            self._commit(resource, new, None)
        return self._answer(new)

    def _fill_metadata(self, resource: ApiResource, meta: Obj) -> None:
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
        meta["creationTimestamp"] = self.now()
        if resource.has_generation:
            meta["generation"] = 1

    def _check_namespace(self, resource: ApiResource, meta: Obj) -> None:
        name = meta.get("namespace") or ""
        namespace = self.find(NAMESPACES, None, name)
        if namespace is None:
            raise not_found("", "namespaces", name)
        if "deletionTimestamp" in namespace["metadata"]:
            why = f"unable to create new content in namespace {name} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": why,
                "field": "metadata.namespace",
            }
            raise forbidden(
                resource.gvr.group, resource.gvr.plural, meta["name"], why, causes=[cause]
            )

    def update(
        self,
        gvr: GroupVersionResource,
        obj: Obj,
        subresource: str | None = None,
        *,
        dry_run: bool = False,
        track: FieldTracker | None = None,
    ) -> Obj:
        """Replace an object, or its part that the subresource owns. Unchanged: no write."""
        resource = self.resource(gvr)
        name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace")
        old = self.peek(gvr, namespace, name)
        self._check_preconditions(resource, old, obj["metadata"])
        new = self._merged(resource, copy_json(obj), old, subresource)
        resource.strategy.prepare_for_update(new, old, subresource)
        errors = resource.strategy.validate_update(new, old, subresource)
        if subresource is None:
            errors = validate_metadata(resource, new["metadata"]) + errors
        if errors:
            raise invalid(gvr.group, resource.kind, name, errors)
        if track:
            track(new, old)
        if _same(new, old):
            return self._answer(old)
        if resource.has_generation and self._spec_differs(new, old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if not dry_run:
            self._commit(resource, new, old, gone=self._ended(new))
        return self._answer(new)

    def _check_preconditions(self, resource: ApiResource, old: Obj, asked: Obj) -> None:
        gvr, meta = resource.gvr, old["metadata"]
        if (uid := asked.get("uid")) and uid != meta["uid"]:
            uids = f"UID in precondition: {uid}, UID in object meta: {meta['uid']}"
            why = f"Precondition failed: {uids}"
            raise conflict(gvr.group, gvr.plural, meta["name"], why)
        if (version := asked.get("resourceVersion")) and version != meta["resourceVersion"]:
            raise conflict(gvr.group, gvr.plural, meta["name"])

    @staticmethod
    def _merged(resource: ApiResource, new: Obj, old: Obj, subresource: str | None) -> Obj:
        """The old object with what this request may change taken from the new one."""
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
        for name in (*_KEPT, "deletionGracePeriodSeconds", "namespace", "resourceVersion"):
            new["metadata"].pop(name, None)
            if name in old["metadata"]:
                new["metadata"][name] = old["metadata"][name]
        if "status" in resource.subresources:
            new.pop("status", None)
            if "status" in old:
                new["status"] = copy_json(old["status"])
        return new

    @staticmethod
    def _spec_differs(new: Obj, old: Obj) -> bool:
        outside = ("metadata", "status")
        return {k: v for k, v in new.items() if k not in outside} != {
            k: v for k, v in old.items() if k not in outside
        }

    def mutate(
        self,
        gvr: GroupVersionResource,
        namespace: str | None,
        name: str,
        fn: Callable[[Obj], Obj | None],
        subresource: str | None = None,
    ) -> Obj:
        """Read, change by `fn` (in place, or by its result), write. Unchanged: no write."""
        obj = self.get(gvr, namespace, name)
        result = fn(obj)
        return self.update(gvr, obj if result is None else result, subresource)

    # --- deleting

    def delete(  # noqa: PLR0913 - what a DELETE request can say
        self,
        gvr: GroupVersionResource,
        namespace: str | None,
        name: str,
        propagation: Propagation | None = None,
        grace_seconds: int | None = None,
        *,
        preconditions: Obj | None = None,
        dry_run: bool = False,
    ) -> Obj:
        """Delete, or mark as being deleted: pods on a node and objects with finalizers stay."""
        resource = self.resource(gvr)
        old = self.peek(gvr, namespace, name)
        self._check_preconditions(resource, old, preconditions or {})
        new: Obj = copy_json(old)
        meta = new["metadata"]
        grace = self._grace(resource, old, grace_seconds)
        if (finalizer := _GC_FINALIZERS.get(propagation or "")) and finalizer not in meta.get(
            "finalizers", ()
        ):
            meta.setdefault("finalizers", []).append(finalizer)
        add_deletion_finalizer(new)
        gone = grace == 0 and not self._held(new)
        if not gone:
            self._mark_deleted(meta, grace)
        if not dry_run and (gone or not _same(new, old)):
            self._commit(resource, new, old, gone=gone)
            delete_content(self, new)
        return self._answer(new)

    def _mark_deleted(self, meta: Obj, grace: int) -> None:
        if "deletionTimestamp" not in meta:
            if "generation" in meta:
                meta["generation"] += 1
        elif grace >= meta["deletionGracePeriodSeconds"]:
            return
        meta["deletionTimestamp"] = self._in_seconds(grace)
        meta["deletionGracePeriodSeconds"] = grace

    def _in_seconds(self, seconds: int) -> str:
        moment = datetime.fromtimestamp(self._clock().timestamp() + seconds, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    @staticmethod
    def _grace(resource: ApiResource, obj: Obj, asked: int | None) -> int:
        bound = resource.gvr == PODS and obj.get("spec", {}).get("nodeName")
        ended = obj.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if not bound or ended:
            return 0
        default = obj["spec"].get("terminationGracePeriodSeconds", 30)
        return int(default if asked is None else max(0, asked))

    # --- the one place that writes

    def _commit(
        self, resource: ApiResource, new: Obj, old: Obj | None, *, gone: bool = False
    ) -> None:
        meta = new["metadata"]
        place = (meta.get("namespace", ""), meta["name"])
        version = self._watch_cache.next_version()
        meta["resourceVersion"] = str(version)
        if gone:
            del self._bucket(resource)[place]
        else:
            self._bucket(resource)[place] = new
        kind: EventType = "DELETED" if gone else "MODIFIED" if old else "ADDED"
        event = WatchEvent(version, kind, resource.storage_gvr, place[0], new, old)
        self._watch_cache.record(event)
        for handler in self._handlers:
            handler(event)
        if gone:
            finalize_parents(self, resource, place[0])

    @staticmethod
    def _held(obj: Obj) -> bool:
        in_namespace = obj["kind"] == "Namespace" and obj.get("spec", {}).get("finalizers")
        return bool(obj["metadata"].get("finalizers") or in_namespace)

    def _ended(self, obj: Obj) -> bool:
        """Marked as deleted, and nothing holds it any more."""
        meta = obj["metadata"]
        waiting = "deletionTimestamp" not in meta or meta.get("deletionGracePeriodSeconds")
        return not waiting and not self._held(obj)

    def finish(self, gvr: GroupVersionResource, obj: Obj) -> None:
        """Write an object whose last hold was taken off: it goes."""
        old = self.peek(gvr, None, obj["metadata"]["name"])
        self._commit(self.resource(gvr), obj, old, gone=self._ended(obj))

    @staticmethod
    def _answer(obj: Obj) -> Obj:
        answer: Obj = copy_json(obj)
        return answer
