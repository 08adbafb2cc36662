"""Deletes expired rows. Every worker runs it; a lock lets one at a time do the work."""

import asyncio
import logging
import random

from aiapi_service.store.database import Database
from aiapi_service.store.errors import StoreUnavailableError

logger = logging.getLogger("aiapi.store")

_LOCK = 0x73_77_65_65_70
_INTERVAL_SECONDS = 3600.0
_EXPIRED = (
    "DELETE FROM rate_limits WHERE arrival < now() - interval '1 minute'",
    "DELETE FROM refresh_tokens WHERE expires < now() - interval '1 day'",
    "DELETE FROM sessions WHERE expires < now() - interval '1 day'",
)


async def delete_expired(database: Database) -> int:
    """Delete expired rows and return their number; 0 while another worker does it."""
    removed = 0
    async with database.transaction() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
            return 0
        for statement in _EXPIRED:
            status = await connection.execute(statement)
            removed += int(status.rpartition(" ")[2])
    return removed


async def delete_expired_periodically(database: Database) -> None:
    """Delete expired rows about once an hour, until cancelled."""
    while True:
        # Jitter: all workers of a fleet may have started together.
        await asyncio.sleep(_INTERVAL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        try:
            removed = await delete_expired(database)
        except StoreUnavailableError as error:
            logger.warning("expired rows were not deleted: %s", error)
        else:
            logger.debug("deleted %d expired rows", removed)
