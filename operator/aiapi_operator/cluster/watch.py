"""Lists the objects of one resource and then watches them, for as long as the operator runs.

The first page of a list tells the version from which the watch continues. A watch that ends is
resumed at the last version that it delivered; where the API server no longer has that version, or
answers with an error, the objects are listed again. The sink learns from a complete list which
objects are gone.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from aiapi_operator.cluster import errors
from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.errors import ClusterError
from aiapi_operator.cluster.resources import MANAGED_BY_SELECTOR, Manifest, Resource

_PAGE = "500"
_BATCH = 50
"""Objects of a page that are read before other tasks may run."""
_SHORTEST, _LONGEST = 60, 90
"""Seconds after which the API server ends a watch. They differ, so that watches do not reconnect
together."""
_GRACE = 10.0
"""Seconds beyond that after which a silent connection counts as lost."""
_FIRST_BACKOFF = 0.5
_MAX_BACKOFF = 30.0
_STABLE = 5.0
"""Seconds that a watch must last for the next attempt to be made at once."""
_RESUMABLE = (errors.TooManyRequests, errors.Unauthorized)
"""Answers that say nothing about the version. After any other, the server may not know it."""

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes the objects in the order in which they arrive."""

    def on_child_update(self, manifest: Manifest) -> None:
        """Handle an object that exists, was created, or changed."""

    def on_child_delete(self, manifest: Manifest) -> None:
        """Handle a deleted object."""

    def on_list(self, listed: "Listed") -> None:
        """Handle the end of a list: other objects do not exist."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A complete list: the uids of all objects of a kind, as of a version."""

    kind: str
    namespace: str | None
    version: str
    uids: frozenset[str]


class _ListMeta(msgspec.Struct, rename={"following": "continue"}):
    version: str = msgspec.field(default="", name="resourceVersion")
    following: str = ""


class _Page(msgspec.Struct):
    """The objects stay text, so that they can be read a few at a time."""

    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct):
    type: str
    object: dict[str, Any]


class _RelistError(Exception):
    """The watch cannot be resumed."""


@dataclass(slots=True)
class _Progress:
    """Where the watch continues. An empty version asks for a list."""

    version: str = ""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Which:
    """Which objects to deliver, and in which form."""

    selector: str
    accept: str = "application/json"


MANAGED = Which(MANAGED_BY_SELECTOR)
METADATA_OF_ALL = Which(
    "",
    ",".join(
        f"application/json;as={kind};g=meta.k8s.io;v=v1"
        for kind in ("PartialObjectMetadataList", "PartialObjectMetadata")
    ),
)


class ListWatch:
    """Delivers one resource of one namespace (None: of all) to a sink."""

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        namespace: str | None,
        sink: Sink,
        which: Which = MANAGED,
    ) -> None:
        self._connection = connection
        self._selector = {"labelSelector": which.selector} if which.selector else {}
        self._accept = which.accept
        self._resource = resource
        self._collection = resource.collection(namespace)
        self._namespace = namespace
        self._sink = sink
        self._page = msgspec.json.Decoder(_Page)
        self._event = msgspec.json.Decoder(_Event)
        self.problem = f"listing {resource.plural}"
        """Why the objects are not known yet; empty once they were listed."""
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """List and watch until cancelled."""
        progress = _Progress()
        while True:
            started = time.monotonic()
            try:
                await self._follow(progress)
            except _RelistError as error:
                _log.info("listing %s again: %s", self._collection, error)
                progress.version = ""
            except ClusterError as error:
                self._note(error, progress)
            if time.monotonic() - started >= _STABLE:
                progress.failures = 0
            else:
                progress.failures += 1
                await asyncio.sleep(_backoff(progress.failures))

    async def _follow(self, progress: _Progress) -> None:
        """List if necessary, then deliver the events of one watch."""
        if not progress.version:
            progress.version = await self._list()
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            **self._selector,
            "resourceVersion": progress.version,
            "timeoutSeconds": str(seconds := random.randint(_SHORTEST, _LONGEST)),  # noqa: S311 - jitter
        }
        request = Request(
            *("GET", self._collection),
            query=query,
            deadline=seconds + _GRACE,
            accept=self._accept,
        )
        async with self._connection.stream(request) as lines:
            async for line in _lines(lines):
                progress.version = self._deliver(line) or progress.version

    def _note(self, error: ClusterError, progress: _Progress) -> None:
        self.problem = self.problem and f"cannot list {self._collection}: {error}"
        _log.warning("watching %s failed; retrying: %s", self._collection, error)
        if error.reason != "Unreachable" and not isinstance(error, _RESUMABLE):
            progress.version = ""

    async def _list(self) -> str:
        """Deliver all objects. Returns the version from which a watch misses nothing."""
        version, uids, following = "", set[str](), ""
        while not version or following:
            query = {**self._selector, "limit": _PAGE}
            if following:
                query["continue"] = following
            request = Request("GET", self._collection, query=query, accept=self._accept)
            page = self._decode_page(await self._connection.send_raw(request))
            async for manifest in self._objects(page):
                uids.add(manifest["metadata"]["uid"])
                self._pass_on(self._sink.on_child_update, manifest)
            version = version or page.metadata.version
            following = page.metadata.following
            if not version:
                raise errors.Unavailable("the list has no resourceVersion", reason="NoVersion")
        listed = Listed(self._resource.kind, self._namespace, version, frozenset(uids))
        self._sink.on_list(listed)
        self.problem = ""
        self.listed.set()
        return version

    def _decode_page(self, body: bytes) -> _Page:
        try:
            return self._page.decode(body)
        except msgspec.DecodeError as error:
            raise errors.Unavailable(f"the list is not valid: {error}", reason="BadList") from error

    async def _objects(self, page: _Page) -> AsyncIterator[Manifest]:
        # Items of a list have no kind, but callers distinguish manifests by kind.
        kind = {"apiVersion": self._resource.api_version, "kind": self._resource.kind}
        for number, item in enumerate(page.items or ()):
            if number % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)
            yield {**kind, **msgspec.json.decode(item)}

    def _deliver(self, line: bytes) -> str:
        """Pass an event on. Returns its version."""
        try:
            event = self._event.decode(line)
        except msgspec.DecodeError as error:
            raise _RelistError(f"an event is not valid: {error}") from error
        if event.type == "ERROR":
            raise _RelistError(event.object.get("message") or "the watch failed")
        if event.type == "DELETED":
            self._pass_on(self._sink.on_child_delete, event.object)
        elif event.type != "BOOKMARK":
            self._pass_on(self._sink.on_child_update, event.object)
        return str((event.object.get("metadata") or {}).get("resourceVersion") or "")

    def _pass_on(self, handle: Callable[[Manifest], None], manifest: Manifest) -> None:
        try:
            handle(manifest)
        except Exception:  # noqa: BLE001 - one odd object must not keep the others away
            _log.exception("an object of %s was not understood", self._collection)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a watch, of bounded length."""
    while True:
        try:
            line = await stream.readline()
        except (HttpProcessingError, ValueError) as error:  # longer than the buffer
            raise _RelistError(f"an event is too long: {error}") from error
        if not line.endswith(b"\n"):  # the end, maybe in the middle of an event
            return
        yield line


def _backoff(failures: int) -> float:
    delay = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(failures - 1, 8))
    return delay * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
