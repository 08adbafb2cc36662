"""Removes what nobody will ask for again. Every worker runs it; one at a time does the work."""

import asyncio
import logging
import random

from aiapi_service.store.database import Database
from aiapi_service.store.errors import StoreUnavailableError

logger = logging.getLogger("aiapi.store")

_LOCK = 0x73_77_65_65_70
_EVERY_SECONDS = 3600.0
_STALE = (
    "DELETE FROM rate_limits WHERE arrival < now() - interval '1 minute'",
    "DELETE FROM refresh_tokens WHERE expires < now() - interval '1 day'",
    "DELETE FROM sessions WHERE expires < now() - interval '1 day'",
)


async def delete_expired(database: Database) -> int:
    """Remove what is stale; how many rows went. Nothing while another worker is at it."""
    removed = 0
    async with database.transaction() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
            return 0
        for statement in _STALE:
            status = await connection.execute(statement)
            removed += int(status.rpartition(" ")[2])
    return removed


async def delete_expired_periodically(database: Database) -> None:
    """Sweep about once an hour, until cancelled."""
    while True:
        # All workers of a fleet may have started together.
        await asyncio.sleep(_EVERY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        try:
            removed = await delete_expired(database)
        except StoreUnavailableError as error:
            logger.warning("stale rows were not removed: %s", error)
        else:
            logger.debug("removed %d stale rows", removed)
