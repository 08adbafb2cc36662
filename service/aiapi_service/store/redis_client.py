"""Redis connections. The redis package is imported on use only, since few pods need it."""

from typing import Any

# Enough for a worker: its event loop saturates first.
_CONNECTIONS = 8
_SCHEMES = ("redis://", "rediss://", "unix://")


def connection_pool(url: str, seconds: float) -> Any:
    """A lazy connection pool. Each attempt on a connection times out after `seconds`."""
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415 - slow to import, rarely needed
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - see above
    from redis.backoff import NoBackoff  # noqa: PLC0415 - see above

    return BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        # The wait for a free connection; the caller has a timeout of its own.
        timeout=10 * seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        # Redis may have closed an idle connection.
        retry=Retry(NoBackoff(), 1),
    )


def is_redis_url(url: str) -> bool:
    """Whether the URL is valid. The reason is not reported, since it may quote the password."""
    if not url.startswith(_SCHEMES):
        return False
    try:
        connection_pool(url, 1.0).make_connection()
    except (ValueError, TypeError):
        return False
    return True
