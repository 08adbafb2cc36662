"""The connections of a worker to its upstreams: one pool of aiohttp's.

httpx's own transport costs a loop several times as much a call, and httpx's requests and responses
around aiohttp cost as much again as aiohttp. So aiohttp is asked directly. Errors are httpx's, as
everywhere else. A call says which request it is for: by its id, and by the trace's context.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError

from aiapi_runtime.telemetry import request_id
from aiapi_runtime.telemetry.requests import UpstreamCall
from aiapi_runtime.telemetry.tracing import inject
from aiapi_service.gateway.upstreams.settings import UpstreamSettings
from aiapi_service.gateway.upstreams.wire import ResponseHead, UpstreamEndpoint

_IDLE_SECONDS = 15.0
_PIECE_BYTES = 16 * 1024

# From the particular to the general: the first that fits tells.
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (TimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ClientConnectionError, httpx.ReadError),
    (aiohttp.ClientPayloadError, httpx.ReadError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
    (HttpProcessingError, httpx.RemoteProtocolError),
)


@contextmanager
def _errors_of_httpx() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, HttpProcessingError, TimeoutError) as error:
        found = next(theirs for ours, theirs in _ERRORS if isinstance(error, ours))
        raise found(str(error)) from error


class UpstreamTransport:
    """Directly, and by the proxies that the environment names."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._limit = settings.upstream_connections
        self._session: aiohttp.ClientSession | None = None
        # Looking for proxies reads all of the environment: once a host.
        self._proxies: dict[tuple[str, str], str | None] = {}
        self._timeouts = aiohttp.ClientTimeout(
            connect=settings.upstream_pool_timeout,
            sock_connect=settings.upstream_connect_timeout,
            sock_read=settings.upstream_read_timeout,
        )
        self._longest = max(
            settings.upstream_pool_timeout,
            settings.upstream_connect_timeout,
            settings.upstream_read_timeout,
        )

    async def send(self, to: UpstreamEndpoint, body: bytes, left: float) -> ResponseHead:
        """The head of an answer. No phase may take longer than what is left of the call's time."""
        headers = to.headers
        known: dict[str, str] = {}
        inject(known)
        if request := request_id():
            known["X-Request-ID"] = request
        if known:
            headers = headers.copy()
            headers.update(known)
        call = UpstreamCall()
        try:
            with _errors_of_httpx():
                response = await self._pool().request(
                    to.method,
                    to.url,
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                    timeout=self._within(left),
                    proxy=self._proxy(to.place),
                )
        except BaseException:
            call.end()
            raise
        return ResponseHead(response.status, response.raw_headers, _Body(response, call))

    def _within(self, left: float) -> aiohttp.ClientTimeout:
        if left >= self._longest:
            return self._timeouts
        bound = max(left, 0.001)
        given = (self._timeouts.connect, self._timeouts.sock_connect, self._timeouts.sock_read)
        connect, sock_connect, sock_read = (min(seconds or bound, bound) for seconds in given)
        return aiohttp.ClientTimeout(
            connect=connect, sock_connect=sock_connect, sock_read=sock_read
        )

    def _proxy(self, place: tuple[str, str]) -> str | None:
        if place not in self._proxies:
            scheme, host = place
            self._proxies[place] = None if proxy_bypass(host) else getproxies().get(scheme)
        return self._proxies[place]

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=_IDLE_SECONDS)
            # A cookie that one caller's answer sets must not go out with another's call.
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Body:
    """Closed before its end, it closes the connection."""

    def __init__(self, response: aiohttp.ClientResponse, call: UpstreamCall) -> None:
        self._response = response
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of_httpx():
            async for piece in self._response.content.iter_chunked(_PIECE_BYTES):
                yield piece

    async def aclose(self) -> None:
        self._call.end()
        self._response.release()
