"""Posts Events on an AIApi, as shown by ``kubectl describe`` and ``kubectl events``.

A repeated event increases the count of the existing one. As in client-go's recorder, a token
bucket per AIApi keeps a flapping one from flooding the API server.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiapi_operator.cluster.connection import MERGE, Connection, Request
from aiapi_operator.cluster.errors import NotFound
from aiapi_operator.cluster.resources import EVENTS, FIELD_MANAGER, Manifest

_BURST = 60
_REFILL_SECONDS = 10.0
_MAX_ENTRIES = 4096
_SERIES_SECONDS = 600.0
_MESSAGE_LIMIT = 1024


@dataclass(slots=True)
class _Series:
    name: str
    count: int
    first: str
    seen: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled: float


class EventRecorder:
    """Posts events and counts repetitions."""

    def __init__(
        self, connection: Connection, *, instance: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._instance = instance
        self._clock = clock
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    async def emit(self, regarding: Manifest, *, kind: str, reason: str, message: str) -> None:
        """Post an event about an object. ``kind`` is ``Normal`` or ``Warning``."""
        if not self._take_token(regarding["metadata"]["uid"]):
            return
        message = message[:_MESSAGE_LIMIT]
        uid = regarding["metadata"]["uid"]
        key = hashlib.sha256(f"{uid}\n{kind}\n{reason}\n{message}".encode()).hexdigest()
        series = self._series.get(key)
        recent = series is not None and self._clock() - series.seen < _SERIES_SECONDS
        if series and recent and await self._increment(regarding["metadata"]["namespace"], series):
            return
        await self._post(regarding, key=key, kind=kind, reason=reason, message=message)

    async def _post(
        self, regarding: Manifest, *, key: str, kind: str, reason: str, message: str
    ) -> None:
        now = _now()
        metadata = regarding["metadata"]
        name = f"{metadata['name']}.{key[:10]}{time.time_ns():x}"
        await self._connection.send(
            Request(
                "POST",
                EVENTS.collection(metadata["namespace"]),
                body=self._body(regarding, name=name, now=now, kind=kind, reason=reason)
                | {"message": message},
            )
        )
        self._series[key] = _Series(name=name, count=1, first=now, seen=self._clock())
        while len(self._series) > _MAX_ENTRIES:
            self._series.popitem(last=False)

    def _body(
        self, regarding: Manifest, *, name: str, now: str, kind: str, reason: str
    ) -> dict[str, Any]:
        metadata = regarding["metadata"]
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
            "type": kind,
            "reason": reason,
            "action": reason,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "reportingInstance": self._instance[:128],
        }

    async def _increment(self, namespace: str, series: _Series) -> bool:
        series.count += 1
        series.seen = self._clock()
        try:
            await self._connection.send(
                Request(
                    "PATCH",
                    EVENTS.path(namespace, series.name),
                    body={"count": series.count, "lastTimestamp": _now()},
                    content_type=MERGE,
                )
            )
        except NotFound:
            return False
        return True

    def _take_token(self, uid: str) -> bool:
        now = self._clock()
        bucket = self._buckets.setdefault(uid, _Bucket(tokens=_BURST, filled=now))
        bucket.tokens = min(_BURST, bucket.tokens + (now - bucket.filled) / _REFILL_SECONDS)
        bucket.filled = now
        while len(self._buckets) > _MAX_ENTRIES:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
