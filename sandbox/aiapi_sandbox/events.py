"""Events: recording with deduplication by count, and expiry."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.apimachinery.timestamps import parse_time
from aiapi_sandbox.kinds.resources import EVENTS
from aiapi_sandbox.storage.store import Store

TIME_TO_LIVE = timedelta(hours=1)
MAX_EVENTS = 2_000


class ComponentEventRecorder:
    """Records Events of one component."""

    def __init__(self, store: Store, component: str, *, host: str = "") -> None:
        self._store = store
        self._source = {"component": component} | ({"host": host} if host else {})
        self._seen: dict[tuple[str, ...], tuple[str, str]] = {}

    def normal(self, obj: Mapping[str, Any], reason: str, message: str, *, path: str = "") -> None:
        """Record an Event of type Normal."""
        self._record(obj, "Normal", reason, message, path)

    def warning(self, obj: Mapping[str, Any], reason: str, message: str, *, path: str = "") -> None:
        """Record an Event of type Warning."""
        self._record(obj, "Warning", reason, message, path)

    def _record(
        self, obj: Mapping[str, Any], kind: str, reason: str, message: str, path: str
    ) -> None:
        identity = (obj["metadata"]["uid"], path, kind, reason, message)
        if identity in self._seen and self._count_up(*self._seen[identity]):
            return
        try:
            created = self._store.create(EVENTS, self._event(obj, kind, reason, message, path))
        except ApiError:
            return  # the namespace is being deleted
        if len(self._seen) > MAX_EVENTS:
            self._seen.clear()
        meta = created["metadata"]
        self._seen[identity] = (meta["namespace"], meta["name"])

    def _count_up(self, namespace: str, name: str) -> bool:
        def increment(event: Obj) -> None:
            event["count"] = event.get("count", 1) + 1
            event["lastTimestamp"] = self._store.now()

        try:
            self._store.mutate(EVENTS, namespace, name, increment)
        except ApiError:
            return False
        return True

    def _event(
        self, obj: Mapping[str, Any], kind: str, reason: str, message: str, path: str
    ) -> Obj:
        meta, now = obj["metadata"], self._store.now()
        involved = {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "name": meta["name"],
            "uid": meta["uid"],
            "resourceVersion": meta.get("resourceVersion", ""),
        }
        if meta.get("namespace"):
            involved["namespace"] = meta["namespace"]
        if path:
            involved["fieldPath"] = path
        return {
            "metadata": {
                "name": f"{meta['name']}.{secrets.token_hex(8)}",
                "namespace": meta.get("namespace") or "default",
            },
            "involvedObject": involved,
            "reason": reason,
            "message": message[:1024],
            "source": dict(self._source),
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
        }


def expire_events(store: Store, *, now: datetime) -> int:
    """Delete expired Events, and the oldest ones above the limit; return the number."""
    events = [(_last_seen(event), event["metadata"]) for event in store.scan(EVENTS)]
    events.sort(key=lambda item: item[0])
    surplus = len(events) - MAX_EVENTS
    deleted = 0
    for position, (seen, meta) in enumerate(events):
        if position < surplus or now - seen > TIME_TO_LIVE:
            store.delete(EVENTS, meta["namespace"], meta["name"])
            deleted += 1
    return deleted


def _last_seen(event: Mapping[str, Any]) -> datetime:
    series = event.get("series") or {}
    text = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return parse_time(text or event["metadata"]["creationTimestamp"]).astimezone(UTC)
