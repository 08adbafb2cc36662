"""The connections of a worker to its upstreams: one pool, httpx's API over aiohttp's transport.

httpx's own transport costs a loop several times as much a call. The transport is used without
httpx's client on top: it would merge headers, cookies, redirects and auth anew for each call.
"""

from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from aiapi_service.gateway.upstreams.settings import UpstreamSettings

_IDLE_SECONDS = 15.0


class Connections:
    """A transport for each way out: directly, and by each proxy that the environment names."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._limit = settings.upstream_connections
        self._transports: dict[str, httpx.AsyncBaseTransport] = {}
        # Looking for proxies reads all of the environment: once a host.
        self._ways: dict[tuple[str, str], httpx.AsyncBaseTransport] = {}
        self._timeouts = {
            "connect": settings.upstream_connect_timeout,
            "pool": settings.upstream_pool_timeout,
            "read": settings.upstream_read_timeout,
        }
        self._longest = max(self._timeouts.values())

    def timeouts(self, left: float) -> dict[str, float]:
        """Of each phase, none longer than what is left of the call's time."""
        if left >= self._longest:
            return self._timeouts
        return {phase: min(seconds, max(left, 0.001)) for phase, seconds in self._timeouts.items()}

    def way_to(self, url: httpx.URL) -> httpx.AsyncBaseTransport:
        """The transport for this host."""
        place = (url.scheme, url.host)
        if place not in self._ways:
            proxy = "" if proxy_bypass(url.host) else getproxies().get(url.scheme, "")
            if proxy not in self._transports:
                self._transports[proxy] = self._make(proxy)
            self._ways[place] = self._transports[proxy]
        return self._ways[place]

    def _make(self, proxy: str) -> httpx.AsyncBaseTransport:
        def session() -> aiohttp.ClientSession:
            connector = aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=_IDLE_SECONDS)
            # A cookie that one caller's answer sets must not go out with another's call.
            return aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
            )

        return AiohttpTransport(client=session, proxy=httpx.Proxy(proxy) if proxy else None)

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()
