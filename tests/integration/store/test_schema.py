"""Migrations are applied once, by one worker at a time, and must not change."""

import asyncio
import logging
from collections.abc import AsyncIterator

import asyncpg
import pytest

from aiapi_service.store.cleanup import delete_expired
from aiapi_service.store.connection import DatabaseConnection
from aiapi_service.store.database import open_database
from aiapi_service.store.errors import StoreError
from aiapi_service.store.limits import PostgresLimiter, Rate
from aiapi_service.store.migrate import Migration, migrate, packaged
from aiapi_service.store.settings import StoreSettings

FIRST = Migration(1, "0001_first.sql", "CREATE TABLE first (a int); CREATE INDEX ON first (a);")
SECOND = Migration(2, "0002_second.sql", "ALTER TABLE first ADD b int")
BROKEN = Migration(2, "0002_broken.sql", "CREATE TABLE half (a int); SELECT 1 / 0")


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[DatabaseConnection]:
    """A connection with its own schema."""
    made = await asyncpg.connect(database_url)
    await made.execute("DROP SCHEMA IF EXISTS mine CASCADE; CREATE SCHEMA mine")
    await made.execute("SET search_path = mine, public")
    yield made
    await made.close()


async def _tables(connection: DatabaseConnection) -> set[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'mine'")
    return {row["tablename"] for row in rows}


async def test_pending_migrations_are_applied_once_in_order(connection: DatabaseConnection) -> None:
    await migrate(connection, (FIRST,))
    await migrate(connection, (FIRST, SECOND))
    await migrate(connection, (FIRST, SECOND))
    rows = await connection.fetch("SELECT version FROM aiapi_migrations ORDER BY 1")
    assert [row["version"] for row in rows] == [1, 2]


async def test_a_failed_migration_is_rolled_back(connection: DatabaseConnection) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(connection, (FIRST, BROKEN))
    assert await _tables(connection) == set()


async def test_a_changed_migration_is_refused(
    connection: DatabaseConnection,
) -> None:
    await migrate(connection, (FIRST,))
    with pytest.raises(StoreError, match=r"0001_first\.sql was changed after it was applied"):
        await migrate(connection, (Migration(1, FIRST.name, FIRST.sql + " "),))


async def test_a_newer_schema_is_left_alone(connection: DatabaseConnection) -> None:
    await migrate(connection, (FIRST, SECOND))
    await migrate(connection, (FIRST,))
    rows = await connection.fetch("SELECT version FROM aiapi_migrations ORDER BY 1")
    assert [row["version"] for row in rows] == [1, 2]
    assert await connection.fetch("SELECT a, b FROM first") == []


def test_packaged_migrations_are_numbered_without_gaps() -> None:
    assert [one.version for one in packaged()] == list(range(1, len(packaged()) + 1))


async def test_concurrent_workers_migrate_once(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = StoreSettings.model_validate({"database_url": database_url})

    async def start() -> None:
        async with open_database(settings) as database:
            assert database is not None
            assert await database.rows("SELECT * FROM documents") == []

    await asyncio.gather(*(start() for _ in range(6)))
    assert caplog.text.count("applied migration 0001_accounts.sql") == 1


async def test_a_limit_counts_concurrent_attempts(database_url: str) -> None:
    settings = StoreSettings.model_validate({"database_url": database_url})
    async with open_database(settings) as one, open_database(settings) as other:
        assert one is not None
        assert other is not None
        rate = Rate(burst=10, seconds=1000)
        limiters = [PostgresLimiter(one), PostgresLimiter(other)] * 20
        waits = await asyncio.gather(*(limiter.take(rate, "many") for limiter in limiters))
        assert sum(wait == 0 for wait in waits) == 10
        assert all(0 <= wait <= 1000 for wait in waits)
        await limiters[0].reset("many")
        assert await limiters[0].take(rate, "many") == 0
        assert await limiters[0].take(rate, "man", "y") == 0, "another bucket"


async def test_a_bucket_refills(database_url: str) -> None:
    settings = StoreSettings.model_validate({"database_url": database_url})
    async with open_database(settings) as database:
        assert database is not None
        limiter, rate = PostgresLimiter(database), Rate(burst=2, seconds=50)
        waits = [await limiter.take(rate, "slow") for _ in range(3)]
        assert waits[:2] == [0, 0]
        assert 45 <= waits[2] <= 50
        past = "UPDATE rate_limits SET arrival = arrival - interval '51 seconds'"
        await database.execute(past)
        assert await limiter.take(rate, "slow") == 0
        assert await limiter.take(rate, "slow") > 0


async def test_only_expired_rows_are_deleted(database_url: str) -> None:
    settings = StoreSettings.model_validate({"database_url": database_url})
    async with open_database(settings) as database:
        assert database is not None
        limiter = PostgresLimiter(database)
        await limiter.take(Rate(1, 1000), "fresh")
        await limiter.take(Rate(1, 0.001), "stale")
        await database.execute(
            "UPDATE rate_limits SET arrival = now() - interval '1 hour' "
            "WHERE arrival < now() + interval '10 seconds'"
        )
        assert await delete_expired(database) >= 1
        rows = await database.rows("SELECT arrival > now() AS fresh FROM rate_limits")
        assert all(row["fresh"] for row in rows)
        assert rows
