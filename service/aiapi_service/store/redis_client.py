"""How Redis is reached. Importing this imports nothing of Redis, which few pods have."""

from typing import Any

# A worker's loop is busy long before these are.
_CONNECTIONS = 8
_SCHEMES = ("redis://", "rediss://", "unix://")


def connection_pool(url: str, seconds: float) -> Any:
    """Connections to a Redis, none of which is open yet; each try on one ends in this time."""
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415 - takes a while, few need it
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - see above
    from redis.backoff import NoBackoff  # noqa: PLC0415 - see above

    return BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        # Waiting for one of the connections; the caller sets an end to it all.
        timeout=10 * seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        # One that Redis has closed meanwhile is no failure.
        retry=Retry(NoBackoff(), 1),
    )


def is_redis_url(url: str) -> bool:
    """Whether a client can be made of it. What is wrong may quote the password: it is not said."""
    if not url.startswith(_SCHEMES):
        return False
    try:
        connection_pool(url, 1.0).make_connection()
    except (ValueError, TypeError):
        return False
    return True
