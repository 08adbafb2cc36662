"""The connections of a worker to its upstreams: a pool for each way out."""

import ssl
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from aiapi_service.gateway.upstreams.http1 import Http1
from aiapi_service.gateway.upstreams.settings import UpstreamSettings
from aiapi_service.gateway.upstreams.wire import Endpoint, Reply, Timeouts, Way

_IDLE_SECONDS = 15.0


class Connections:
    """Directly, and by each proxy that the environment names."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._limit = settings.upstream_connections
        self._pools: dict[str, Way] = {}
        # Looking for proxies reads all of the environment: once a host.
        self._ways: dict[tuple[str, str], Way] = {}
        self._timeouts = Timeouts(
            pool=settings.upstream_pool_timeout,
            connect=settings.upstream_connect_timeout,
            read=settings.upstream_read_timeout,
        )
        self._longest = max(self._timeouts)

    async def send(self, to: Endpoint, body: bytes, left: float) -> Reply:
        """The head of an answer. No phase may take longer than what is left of the call's time."""
        timeouts = self._timeouts
        if left < self._longest:
            timeouts = Timeouts(*(min(seconds, max(left, 0.001)) for seconds in timeouts))
        way = self._ways.get(to.place[:2]) or self._way_to(to.place[:2])
        return await way.send(to, body, timeouts)

    def _way_to(self, place: tuple[str, str]) -> Way:
        scheme, host = place
        proxy = "" if proxy_bypass(host) else getproxies().get(scheme, "")
        if proxy not in self._pools:
            self._pools[proxy] = self._make(proxy)
        self._ways[place] = self._pools[proxy]
        return self._ways[place]

    def _make(self, proxy: str) -> Way:
        if proxy:
            return _ByProxy(proxy, self._limit)
        tls = ssl.create_default_context()
        tls.set_alpn_protocols(["http/1.1"])
        return Http1(limit=self._limit, tls=tls)

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()


class _ByProxy:
    """By httpx over aiohttp, which knows proxies."""

    def __init__(self, proxy: str, limit: int) -> None:
        def session() -> aiohttp.ClientSession:
            connector = aiohttp.TCPConnector(limit=limit, keepalive_timeout=_IDLE_SECONDS)
            # A cookie that one caller's answer sets must not go out with another's call.
            return aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
            )

        self._transport = AiohttpTransport(client=session, proxy=httpx.Proxy(proxy))

    async def send(self, to: Endpoint, body: bytes, timeouts: Timeouts) -> Reply:
        request = httpx.Request(
            to.method,
            to.url,
            headers=to.headers,
            content=body,
            extensions={"timeout": timeouts._asdict()},
        )
        response = await self._transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - for the type
        return Reply(response.status_code, response.headers.raw, response.stream)

    async def close(self) -> None:
        await self._transport.aclose()
