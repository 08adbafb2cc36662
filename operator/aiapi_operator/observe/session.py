"""The HTTP session for all pods' admin ports. Connections stay open between ticks."""

import aiohttp

_KEEP_ALIVE = 30.0


def open_session() -> aiohttp.ClientSession:
    """A session without proxies, cookies or limits: callers limit concurrency and time."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        # A small compressed answer could expand beyond every limit.
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
    )
