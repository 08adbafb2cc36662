"""A worker's pool of connections. Every use has a deadline, and every failure one of two names.

A statement that Postgres refused for its content raises asyncpg's own error: that is a fault in
the program, or a conflict that the caller expects. Everything else is `StoreUnavailableError`.
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

_GONE = (
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
_UNREADABLE = (
    "AIAPI_DATABASE_URL cannot be read as a postgresql:// URL; percent-encode special characters "
    "in the password"
)
_POLL_SECONDS = 0.25


class Database:
    """Opened once a worker. It outlives any number of restarts of the server."""

    def __init__(self, pool: Any, *, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._preparing: asyncio.Task[None] | None = None
        self._prepared = False

    async def close(self) -> None:
        """Close the connections; those still in use are cut after a moment."""
        try:
            async with asyncio.timeout(2):
                if self._preparing is not None:
                    self._preparing.cancel()
                    await asyncio.wait({self._preparing})
                await self._pool.close()
        except _GONE:
            self._pool.terminate()

    async def prepare(self, seconds: float | None = None) -> None:
        """Bring the schema up to date, once. All who wait for it at once share one try."""
        if self._prepared:
            return
        if self._preparing is None:
            # It belongs to nobody's request: who began it may be gone before it is done.
            task = asyncio.create_task(self._prepare(), context=Context())
            task.add_done_callback(self._tried)
            self._preparing = task
        trying = self._preparing
        with upstream():
            await asyncio.wait({trying}, timeout=seconds)
        if not trying.done() or trying.cancelled():
            raise StoreUnavailableError("the database's schema is not prepared yet")
        trying.result()

    async def _prepare(self) -> None:
        # Another pod may hold the lock for a long migration.
        async with self._borrow(MIGRATION_SECONDS) as connection:
            await migrate(connection)
        self._prepared = True

    def _tried(self, task: asyncio.Task[None]) -> None:
        self._preparing = None
        if not task.cancelled():
            # Whoever waited has seen it; nobody may be left to.
            task.exception()

    async def _acquire(self) -> Any:
        try:
            return await self._pool.acquire()
        except ValueError:
            # It repeats a part of the URL, and that may be the password.
            raise StoreError(_UNREADABLE) from None

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
        except _GONE as error:
            reason = str(error) or type(error).__name__
            raise StoreUnavailableError(f"the database does not answer: {reason}") from error

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[DatabaseConnection]:
        """A connection for a few statements; the deadline holds for all of them together."""
        if not self._prepared:
            await self.prepare(self._timeout)
        async with self._borrow(self._timeout) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DatabaseConnection]:
        """All of the statements inside, or none."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def rows(self, sql: str, *values: Any) -> list[Row]:
        """Every row of a statement."""
        async with self.connection() as connection:
            return await connection.fetch(sql, *values)

    async def row(self, sql: str, *values: Any) -> Row | None:
        """The first row of a statement, if there is one."""
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *values)

    async def execute(self, sql: str, *values: Any) -> int:
        """Carry out a statement; how many rows it touched."""
        async with self.connection() as connection:
            status = await connection.execute(sql, *values)
        last = status.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0


@asynccontextmanager
async def open_database(settings: StoreSettings) -> AsyncIterator[Database | None]:
    """The database for these settings; None where there is none.

    A database that is not there yet is waited for, and then done without: a pod that only passes
    chats on does not stop for it.
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
    # Without a least size nothing is connected yet.
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
