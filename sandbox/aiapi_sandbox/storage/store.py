"""The in-memory object store, with the write semantics of the Kubernetes API.

One Store serves the API server and the controllers in the same process. It is synchronous and used
by the event loop's thread only, so each call is a transaction and needs no lock. Returned objects
are copies, except those from `find`, `peek`, `scan` and `subscribe`: treat these as read-only.
"""

from __future__ import annotations

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
from aiapi_sandbox.apimachinery.timestamps import format_time
from aiapi_sandbox.kinds.metadata_validation import validate_metadata
from aiapi_sandbox.kinds.resources import (
    NAMESPACES,
    PODS,
    ApiResource,
    GroupVersionResource,
    Registry,
)
from aiapi_sandbox.storage.collection import Collection
from aiapi_sandbox.storage.content_deletion import (
    add_deletion_finalizer,
    delete_content,
    finalize_parents,
)
from aiapi_sandbox.storage.object_meta import (
    fill_on_create,
    grace_period,
    has_finalizers,
    is_removable,
    is_unchanged,
    mark_deleted,
    merge_for_update,
    spec_changed,
)
from aiapi_sandbox.storage.pod_admission import add_pod_defaults, admit_pod, admit_resize
from aiapi_sandbox.storage.watch_cache import EventType, WatchCache, Watcher, WatchEvent

Propagation = Literal["Background", "Foreground", "Orphan"]
EventHandler = Callable[[WatchEvent], None]
FieldTracker = Callable[[Obj, Obj | None], None]  # records field managers in the new object

_GC_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


class Store:
    """Creates, reads, updates, deletes and watches objects."""

    def __init__(
        self,
        registry: Registry | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        watch_cache_size: int = 10_000,
    ) -> None:
        self.registry = registry or Registry()
        self._clock = clock
        self._objects: dict[GroupVersionResource, Collection] = {}
        self._watch_cache = WatchCache(start=1000, size=watch_cache_size)
        self._handlers: list[EventHandler] = []
        for name in ("default", "kube-system"):
            self.create(NAMESPACES, {"metadata": {"name": name}})

    # --- reading

    @property
    def version(self) -> int:
        return self._watch_cache.version

    def now(self) -> str:
        return format_time(self._clock())

    def resource(self, gvr: GroupVersionResource) -> ApiResource:
        resource = self.registry.get(gvr)
        if resource is None:
            message = "the server could not find the requested resource"
            raise ApiError(404, "NotFound", message, details={})
        return resource

    def _collection(self, resource: ApiResource) -> Collection:
        return self._objects.setdefault(resource.storage_gvr, Collection())

    def find(self, gvr: GroupVersionResource, namespace: str | None, name: str) -> Obj | None:
        """The stored object, read-only, or None."""
        resource = self.resource(gvr)
        return self._collection(resource).get(namespace or "" if resource.namespaced else "", name)

    def peek(self, gvr: GroupVersionResource, namespace: str | None, name: str) -> Obj:
        """The stored object, read-only. Raises NotFound."""
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
        """Stored objects by namespace and name, read-only."""
        resource = self.resource(gvr)
        by_labels, by_fields = parse_labels(labels), parse_fields(fields)
        within = namespace if namespace and resource.namespaced else None
        for obj in self._collection(resource).scan(within):
            if by_labels(obj["metadata"].get("labels") or {}) and by_fields(obj):
                yield obj

    def controlled(self, gvr: GroupVersionResource, namespace: str, uid: str = "") -> list[Obj]:
        """Stored objects with this controller, read-only; by default, those without one."""
        return self._collection(self.resource(gvr)).controlled(namespace, uid)

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
        """Watch events after version `since` (default: now). Close the watcher when done."""
        resource = self.resource(gvr)
        return self._watch_cache.subscribe(resource.storage_gvr, namespace, since=since)

    async def watch(
        self, gvr: GroupVersionResource, namespace: str | None = None, since: int | None = None
    ) -> AsyncIterator[tuple[EventType, Obj]]:
        """Every existing object as ADDED, then changes; with `since`, only later changes."""
        with self.subscribe(gvr, namespace, since=since) as watcher:
            present = self.list(gvr, namespace) if since is None else []
            for obj in present:
                yield "ADDED", obj
            while event := await watcher.next():
                yield event.type, copy_json(event.object)

    def add_event_handler(self, handler: EventHandler) -> None:
        """Call `handler` synchronously, inside the write, for every event of any resource."""
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
        fill_on_create(resource, meta, now=self.now())
        if resource.namespaced:
            self._check_namespace(resource, meta)
        if "status" in resource.subresources and not resource.strategy.keeps_status_on_create:
            new.pop("status", None)
        resource.strategy.prepare_for_create(new)
        if resource.gvr == PODS:
            add_pod_defaults(self, new)
        errors = validate_metadata(resource, meta) + resource.strategy.validate_create(new)
        if errors:
            raise invalid(gvr.group, resource.kind, meta["name"], errors)
        if self.find(gvr, meta.get("namespace"), meta["name"]) is not None:
            raise already_exists(gvr.group, gvr.plural, meta["name"])
        if resource.gvr == PODS:
            admit_pod(self, new)
        if track:
            track(new, None)
        if not dry_run:
            self._commit(resource, new, None)
        return self._result(new)

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
        """Replace an object, or the part that the subresource owns. No-op when nothing changes."""
        resource = self.resource(gvr)
        name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace")
        old = self.peek(gvr, namespace, name)
        self._check_preconditions(resource, old, obj["metadata"])
        new = merge_for_update(resource, copy_json(obj), old, subresource)
        resource.strategy.prepare_for_update(new, old, subresource)
        errors = resource.strategy.validate_update(new, old, subresource)
        if subresource is None:
            errors = validate_metadata(resource, new["metadata"]) + errors
        if errors:
            raise invalid(gvr.group, resource.kind, name, errors)
        if resource.gvr == PODS and subresource == "resize":
            admit_resize(self, new, old)
        if track:
            track(new, old)
        if is_unchanged(new, old):
            return self._result(old)
        if resource.has_generation and spec_changed(new, old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if not dry_run:
            self._commit(resource, new, old, removed=is_removable(new))
        return self._result(new)

    def _check_preconditions(self, resource: ApiResource, old: Obj, wanted: Obj) -> None:
        gvr, meta = resource.gvr, old["metadata"]
        if (uid := wanted.get("uid")) and uid != meta["uid"]:
            uids = f"UID in precondition: {uid}, UID in object meta: {meta['uid']}"
            why = f"Precondition failed: {uids}"
            raise conflict(gvr.group, gvr.plural, meta["name"], why)
        if (version := wanted.get("resourceVersion")) and version != meta["resourceVersion"]:
            raise conflict(gvr.group, gvr.plural, meta["name"])

    def mutate(
        self,
        gvr: GroupVersionResource,
        namespace: str | None,
        name: str,
        fn: Callable[[Obj], Obj | None],
        subresource: str | None = None,
    ) -> Obj:
        """Read, apply `fn` (in place or by its result) and write. No-op when nothing changes."""
        obj = self.get(gvr, namespace, name)
        result = fn(obj)
        return self.update(gvr, obj if result is None else result, subresource)

    # --- deleting

    def delete(  # noqa: PLR0913 - the options of a DELETE request
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
        """Delete, or only mark as deleted: pods on a node and objects with finalizers stay."""
        resource = self.resource(gvr)
        old = self.peek(gvr, namespace, name)
        self._check_preconditions(resource, old, preconditions or {})
        new: Obj = copy_json(old)
        meta = new["metadata"]
        grace = grace_period(resource, old, grace_seconds)
        if (finalizer := _GC_FINALIZERS.get(propagation or "")) and finalizer not in meta.get(
            "finalizers", ()
        ):
            meta.setdefault("finalizers", []).append(finalizer)
        add_deletion_finalizer(new)
        removed = grace == 0 and not has_finalizers(new)
        if not removed:
            mark_deleted(meta, grace, deletion_time=self._time_in(grace))
        if not dry_run and (removed or not is_unchanged(new, old)):
            self._commit(resource, new, old, removed=removed)
            delete_content(self, new)
        return self._result(new)

    def _time_in(self, seconds: int) -> str:
        moment = datetime.fromtimestamp(self._clock().timestamp() + seconds, UTC)
        return format_time(moment)

    # --- committing

    def _commit(
        self, resource: ApiResource, new: Obj, old: Obj | None, *, removed: bool = False
    ) -> None:
        meta = new["metadata"]
        namespace = meta.get("namespace", "")
        version = self._watch_cache.next_version()
        meta["resourceVersion"] = str(version)
        if removed:
            self._collection(resource).discard(new)
        else:
            self._collection(resource).put(new)
        kind: EventType = "DELETED" if removed else "MODIFIED" if old else "ADDED"
        event = WatchEvent(version, kind, resource.storage_gvr, namespace, new, old)
        self._watch_cache.record(event)
        for handler in self._handlers:
            handler(event)
        if removed:
            finalize_parents(self, resource, namespace)

    def finalize(self, gvr: GroupVersionResource, obj: Obj) -> None:
        """Write an object whose last finalizer was removed, which deletes it."""
        old = self.peek(gvr, None, obj["metadata"]["name"])
        self._commit(self.resource(gvr), obj, old, removed=is_removable(obj))

    @staticmethod
    def _result(obj: Obj) -> Obj:
        result: Obj = copy_json(obj)
        return result
