"""Lists and watches one kind of object, for as long as the activator runs.

A watch that ends is continued from the last version. One that fails, or whose version is too old,
starts again with a list.
"""

import asyncio
import json
import logging
import random
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import aiohttp

from aiapi_operator.cluster import tls
from aiapi_operator.cluster.connection import Connection, Endpoint, Request
from aiapi_operator.cluster.errors import ClusterError
from aiapi_operator.cluster.resources import Manifest, Resource

_PAGE = "500"
_WATCH_SECONDS = 55
_READ_TIMEOUT = 65.0
"""More than a watch lasts: a connection without the other side is noticed after that."""
_BACKOFF_START = 0.5
_BACKOFF_MAX = 10.0

_log = logging.getLogger(__name__)


class WatchFailed(Exception):  # noqa: N818 - named as what happened
    """The API server ended the watch with an error, such as 410: the version is too old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What to watch, and where the objects go."""

    resource: Resource
    namespace: str | None
    selector: str
    replace: Callable[[str | None, Iterable[Manifest]], None]
    put: Callable[[Manifest], None]
    remove: Callable[[Manifest], None]


class Watch:
    """One watch."""

    def __init__(self, connection: Connection, watched: Watched) -> None:
        self._connection = connection
        self._watched = watched
        self._path = watched.resource.collection(watched.namespace)
        self._delay = _BACKOFF_START
        self.synced = asyncio.Event()
        """The first list is complete."""

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        while True:
            try:
                version = await self._list()
                self.synced.set()
                while True:
                    version = await self._follow(version)
                    self._delay = _BACKOFF_START
            except (ClusterError, WatchFailed, aiohttp.ClientError, OSError, ValueError) as error:
                _log.warning("watch of %s: %s", self._watched.resource.plural, error)
            await asyncio.sleep(self._delay * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            self._delay = min(self._delay * 2, _BACKOFF_MAX)

    async def _list(self) -> str:
        items: list[Manifest] = []
        query = {"limit": _PAGE, **self._selection()}
        while True:
            answer = await self._connection.send(Request("GET", self._path, query=query))
            items += answer["items"]
            metadata = answer.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        self._watched.replace(self._watched.namespace, items)
        return str(metadata.get("resourceVersion", ""))

    def _selection(self) -> dict[str, str]:
        return {"labelSelector": self._watched.selector} if self._watched.selector else {}

    async def _follow(self, version: str) -> str:
        """Watch until the API server ends it. Returns the version to continue from."""
        query = {
            **self._selection(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        endpoint = await self._connection.endpoint()
        async with _session(endpoint) as session, session.get(self._path, params=query) as response:
            if response.status != 200:
                raise WatchFailed(f"HTTP {response.status}")
            async for line in _lines(response):
                version = self._event(json.loads(line))
        return version

    def _event(self, event: dict[str, Any]) -> str:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            raise WatchFailed(str(item.get("message") or item.get("code")))
        if kind == "DELETED":
            self._watched.remove(item)
        elif kind != "BOOKMARK":
            self._watched.put(item)
        return str(item["metadata"]["resourceVersion"])


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for data in response.content.iter_any():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line


@asynccontextmanager
async def _session(endpoint: Endpoint) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the credentials as they are now: tokens expire."""
    headers = {}
    if endpoint.token:
        headers["Authorization"] = f"{endpoint.scheme or 'Bearer'} {endpoint.token}"
    elif endpoint.username:
        login = aiohttp.BasicAuth(endpoint.username, endpoint.password or "")
        headers["Authorization"] = login.encode()
    async with aiohttp.ClientSession(
        base_url=endpoint.server,
        headers=headers,
        connector=aiohttp.TCPConnector(ssl=_context(endpoint)),
        timeout=aiohttp.ClientTimeout(total=None, connect=10.0, sock_read=_READ_TIMEOUT),
    ) as session:
        yield session


def _context(endpoint: Endpoint) -> ssl.SSLContext | bool:
    if not endpoint.server.startswith("https:"):
        return True
    context = tls.accept_cluster_ca(ssl.create_default_context(cafile=endpoint.ca_path))
    if not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if endpoint.certificate_path:
        context.load_cert_chain(endpoint.certificate_path, endpoint.private_key_path)
    return context
