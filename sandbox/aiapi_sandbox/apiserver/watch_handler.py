"""Watch requests: a stream of events, with selectors, bookmarks and a timeout."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import ApiError, Obj, bad_request
from aiapi_sandbox.apimachinery.selectors import parse_fields, parse_labels
from aiapi_sandbox.apiserver.conversion import to_served
from aiapi_sandbox.apiserver.read_handlers import to_storage_fields
from aiapi_sandbox.apiserver.request_info import RequestInfo, RequestOptions
from aiapi_sandbox.apiserver.response import ResponseTransformer, encode
from aiapi_sandbox.kinds.resources import ApiResource
from aiapi_sandbox.storage.store import Store
from aiapi_sandbox.storage.watch_cache import Watcher, WatchEvent

_BOOKMARK_INTERVAL = 60.0
_INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


async def watch(
    request: web.Request,
    store: Store,
    info: RequestInfo,
    options: RequestOptions,
    transformer: ResponseTransformer,
) -> web.StreamResponse:
    stream = _WatchStream(store, info, options, transformer)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        watcher = stream.open_watcher()
    except ApiError as error:
        if error.status != 410:
            raise
        await response.prepare(request)
        await response.write(stream.line("ERROR", error.as_status()))
        return response
    with watcher, suppress(ConnectionResetError):  # the client closed the stream
        first = b"".join(stream.initial())
        await response.prepare(request)
        await response.write(first)
        await _follow(response, stream, watcher)
    return response


async def _follow(response: web.StreamResponse, stream: _WatchStream, watcher: Watcher) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + stream.timeout
    while (now := loop.time()) < end:
        wait = min(end - now, _BOOKMARK_INTERVAL)
        try:
            event = await asyncio.wait_for(watcher.next(), wait)
        except TimeoutError:
            await response.write(b"".join(stream.bookmark()))
            continue
        if event is None:
            return
        lines = list(stream.events_for(event))
        while watcher.pending and (event := await watcher.next()):
            lines += stream.events_for(event)
        await response.write(b"".join(lines))


class _WatchStream:
    """Filters and encodes events for one client."""

    def __init__(
        self,
        store: Store,
        info: RequestInfo,
        options: RequestOptions,
        transformer: ResponseTransformer,
    ) -> None:
        self._store = store
        self._info = info
        self._options = options
        self._transformer = transformer
        fields = options.field_selector
        if info.name:
            fields = f"metadata.name={info.name}"
        self._fields = to_storage_fields(info.resource, fields)
        self._by_fields = parse_fields(self._fields)
        self._by_labels = parse_labels(options.label_selector)
        self._headers_sent = False
        self._bookmarked_version = 0
        self.timeout = float(options.timeout_seconds or random.randint(1800, 3600))  # noqa: S311 - spreads reconnects

    @property
    def _resource(self) -> ApiResource:
        return self._info.resource

    def open_watcher(self) -> Watcher:
        since = self._options.resource_version
        if since in ("", "0") or self._options.initial_events:
            return self._store.subscribe(self._info.gvr, self._info.namespace or None)
        try:
            version = int(since)
        except ValueError:
            raise bad_request(
                f'Invalid value: "{since}": strconv.ParseUint: parsing "{since}": invalid syntax'
            ) from None
        return self._store.subscribe(self._info.gvr, self._info.namespace or None, since=version)

    def initial(self) -> Iterator[bytes]:
        """The existing objects, unless the client resumes from a version."""
        options = self._options
        if options.resource_version not in ("", "0") and not options.initial_events:
            return
        for obj in self._store.scan(
            self._info.gvr, self._info.namespace or None, options.label_selector, self._fields
        ):
            yield self._event("ADDED", obj)
        if options.initial_events and options.bookmarks:
            yield from self.bookmark(annotations=_INITIAL_EVENTS_END)

    def events_for(self, event: WatchEvent) -> Iterator[bytes]:
        before = event.previous is not None and self._matches(event.previous)
        after = self._matches(event.object)
        if event.type == "DELETED":
            if before:
                yield self._event("DELETED", event.object)
        elif after:
            yield self._event("MODIFIED" if before else "ADDED", event.object)
        elif before:  # it no longer matches the selector: deleted, for this client
            version = event.object["metadata"]["resourceVersion"]
            last = event.previous or {}
            deleted = {**last, "metadata": {**last["metadata"], "resourceVersion": version}}
            yield self._event("DELETED", deleted)

    def _matches(self, obj: Obj) -> bool:
        return self._by_labels(obj["metadata"].get("labels") or {}) and self._by_fields(obj)

    def _event(self, kind: str, obj: Obj) -> bytes:
        if self._transformer.form == "table":
            version = obj["metadata"].get("resourceVersion", "")
            table = self._transformer.table([obj], version, headers=not self._headers_sent)
            self._headers_sent = True
            return self.line(kind, table)
        return self.line(kind, self._transformer.object(obj))

    def bookmark(self, annotations: Obj | None = None) -> Iterator[bytes]:
        if not self._options.bookmarks or self._bookmarked_version == self._store.version:
            return
        self._bookmarked_version = self._store.version
        meta: Obj = {"resourceVersion": str(self._bookmarked_version)}
        if annotations:
            meta["annotations"] = annotations
        empty = {"kind": self._resource.kind, "apiVersion": "", "metadata": meta}
        if self._transformer.form == "table":
            table = self._transformer.table([], meta["resourceVersion"], headers=False)
            yield self.line("BOOKMARK", {**table, "metadata": meta})
        else:
            yield self.line("BOOKMARK", self._bookmark_object(empty))

    def _bookmark_object(self, empty: Obj) -> Obj:
        if self._transformer.form == "partial":
            return self._transformer.object(empty)
        return {**to_served(self._resource, empty), "apiVersion": self._info.gvr.api_version}

    @staticmethod
    def line(kind: str, obj: Obj) -> bytes:
        return encode({"type": kind, "object": obj}) + b"\n"
