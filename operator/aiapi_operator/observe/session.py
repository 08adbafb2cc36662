"""The one HTTP session to all pods' admin ports: connections stay open from tick to tick."""

import aiohttp

_KEEP_ALIVE = 30.0


def open_session() -> aiohttp.ClientSession:
    """A session without proxies, cookies or a limit; callers bound concurrency and time."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    )
