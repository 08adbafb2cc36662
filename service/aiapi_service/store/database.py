"""The connection pool of a worker. Every use has a deadline.

A statement that Postgres rejects for its content raises asyncpg's error: it is a bug, or a conflict
that the caller expects. All other failures raise `StoreUnavailableError`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any

import asyncpg

from aiapi_runtime.telemetry.requests import upstream
from aiapi_service.store.connection import DatabaseConnection, Row
from aiapi_service.store.errors import StoreError, StoreUnavailableError
from aiapi_service.store.migrate import MIGRATION_SECONDS, migrate
from aiapi_service.store.settings import StoreSettings

logger = logging.getLogger("aiapi.store")

_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DeadlockDetectedError,
)
_BAD_URL = (
    "AIAPI_DATABASE_URL is not a valid postgresql:// URL; percent-encode special characters in the "
    "password"
)
_POLL_SECONDS = 0.25


class Database:
    """One per worker. It survives restarts of the server."""

    def __init__(self, pool: Any, *, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._migration: asyncio.Task[None] | None = None
        self._prepared = False

    async def close(self) -> None:
        """Close the connections. Those still in use are terminated after 2 seconds."""
        try:
            async with asyncio.timeout(2):
                if self._migration is not None:
                    self._migration.cancel()
                    await asyncio.wait({self._migration})
                await self._pool.close()
        except _UNAVAILABLE:
            self._pool.terminate()

    async def prepare(self, seconds: float | None = None) -> None:
        """Migrate the schema, once. Concurrent callers share one attempt."""
        if self._prepared:
            return
        if self._migration is None:
            # Independent of the request that started it, which may end first.
            task = asyncio.create_task(self._prepare(), context=Context())
            task.add_done_callback(self._migrated)
            self._migration = task
        migration = self._migration
        with upstream():
            await asyncio.wait({migration}, timeout=seconds)
        if not migration.done() or migration.cancelled():
            raise StoreUnavailableError("the database schema is not ready yet")
        migration.result()

    async def _prepare(self) -> None:
        # Another pod may hold the lock for a long migration.
        async with self._borrow(MIGRATION_SECONDS) as connection:
            await migrate(connection)
        self._prepared = True

    def _migrated(self, task: asyncio.Task[None]) -> None:
        self._migration = None
        if not task.cancelled():
            # Mark it as retrieved: all callers may have disconnected.
            task.exception()

    async def _acquire(self) -> Any:
        try:
            return await self._pool.acquire()
        except ValueError:
            # The error quotes a part of the URL, which may be the password.
            raise StoreError(_BAD_URL) from None

    @asynccontextmanager
    async def _borrow(self, seconds: float) -> AsyncIterator[DatabaseConnection]:
        try:
            async with asyncio.timeout(seconds):
                with upstream():
                    connection = await self._acquire()
                    try:
                        yield connection
                    finally:
                        await self._pool.release(connection)
        except _UNAVAILABLE as error:
            reason = str(error) or type(error).__name__
            raise StoreUnavailableError(f"the database is not available: {reason}") from error

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[DatabaseConnection]:
        """A connection for a few statements, with one deadline for all of them."""
        if not self._prepared:
            await self.prepare(self._timeout)
        async with self._borrow(self._timeout) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DatabaseConnection]:
        """A transaction."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def rows(self, sql: str, *values: Any) -> list[Row]:
        """All rows of a query."""
        async with self.connection() as connection:
            return await connection.fetch(sql, *values)

    async def row(self, sql: str, *values: Any) -> Row | None:
        """The first row of a query, if any."""
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *values)

    async def execute(self, sql: str, *values: Any) -> int:
        """Execute a statement. Returns the number of affected rows."""
        async with self.connection() as connection:
            status = await connection.execute(sql, *values)
        last = status.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0


@asynccontextmanager
async def open_database(settings: StoreSettings) -> AsyncIterator[Database | None]:
    """The database for these settings; None without one.

    Waits for the database, then starts without it: a pod that only proxies chats does not need it.
    """
    if settings.database_url is None:
        yield None
        return
    pool = await _pool(settings.database_url.get_secret_value(), settings)
    database = Database(pool, timeout=settings.database_timeout)
    try:
        await _wait(database, settings.database_start_wait)
        yield database
    finally:
        await database.close()


async def _pool(url: str, settings: StoreSettings) -> Any:
    # With min_size=0 no connection is opened yet.
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=settings.database_connections,
        timeout=settings.database_connect_timeout,
        command_timeout=settings.database_timeout,
        server_settings={"application_name": "aiapi"},
    )


async def _wait(database: Database, seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            await database.prepare()
        except StoreUnavailableError as error:
            if asyncio.get_running_loop().time() >= deadline:
                logger.warning("starting without the database: %s", error)
                return
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return
