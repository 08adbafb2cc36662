"""Events: what happened to an object, told once with a count, and not kept for ever."""

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
    """Records Events on behalf of one component."""

    def __init__(self, store: Store, component: str, *, host: str = "") -> None:
        self._store = store
        self._source = {"component": component} | ({"host": host} if host else {})
        self._seen: dict[tuple[str, ...], tuple[str, str]] = {}

    def normal(
        self, about: Mapping[str, Any], reason: str, message: str, *, path: str = ""
    ) -> None:
        """Record something expected."""
        self._record(about, "Normal", reason, message, path)

    def warning(
        self, about: Mapping[str, Any], reason: str, message: str, *, path: str = ""
    ) -> None:
        """Record something that a person should look at."""
        self._record(about, "Warning", reason, message, path)

    def _record(
        self, about: Mapping[str, Any], kind: str, reason: str, message: str, path: str
    ) -> None:
        identity = (about["metadata"]["uid"], path, kind, reason, message)
        if identity in self._seen and self._count_up(*self._seen[identity]):
            return
        try:
            created = self._store.create(EVENTS, self._event(about, kind, reason, message, path))
        except ApiError:
            return  # the namespace is going, and its events with it
        if len(self._seen) > MAX_EVENTS:
            self._seen.clear()
        meta = created["metadata"]
        self._seen[identity] = (meta["namespace"], meta["name"])

    def _count_up(self, namespace: str, name: str) -> bool:
        def again(event: Obj) -> None:
            event["count"] = event.get("count", 1) + 1
            event["lastTimestamp"] = self._store.now()

        try:
            self._store.mutate(EVENTS, namespace, name, again)
        except ApiError:
            return False
        return True

    def _event(
        self, about: Mapping[str, Any], kind: str, reason: str, message: str, path: str
    ) -> Obj:
        meta, now = about["metadata"], self._store.now()
        involved = {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
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
    """Delete Events past their time, and the oldest ones beyond the bound; return how many."""
    events = [(_last_seen(event), event["metadata"]) for event in store.scan(EVENTS)]
    events.sort(key=lambda item: item[0])
    surplus = len(events) - MAX_EVENTS
    gone = 0
    for position, (seen, meta) in enumerate(events):
        if position < surplus or now - seen > TIME_TO_LIVE:
            store.delete(EVENTS, meta["namespace"], meta["name"])
            gone += 1
    return gone


def _last_seen(event: Mapping[str, Any]) -> datetime:
    series = event.get("series") or {}
    text = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return parse_time(text or event["metadata"]["creationTimestamp"]).astimezone(UTC)
