"""Requests wait for migrations no longer than for a statement."""

import asyncio
from time import monotonic

import asyncpg
import pytest
from runtime_support.pod import until

from aiapi_service.store import database as module
from aiapi_service.store import migrate as migrating
from aiapi_service.store.database import Database, open_database
from aiapi_service.store.errors import StoreError, StoreUnavailableError
from aiapi_service.store.migrate import Migration, migrate, packaged
from aiapi_service.store.settings import StoreSettings


async def test_a_migration_may_take_longer_than_a_statement(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Migration(9001, "9001_slow.sql", "SELECT pg_sleep(1)")
    monkeypatch.setattr(migrating, "packaged", lambda: (*packaged(), slow))
    values = {"database_url": database_url, "database_timeout": 0.5, "database_start_wait": 0}
    async with open_database(StoreSettings.model_validate(values)) as database:
        assert database is not None
        row = await database.row("SELECT max(version) AS version FROM aiapi_migrations")
        assert row is not None
        assert row["version"] == slow.version


async def test_a_starting_pod_waits_for_the_migration_of_another(
    database_url: str,
) -> None:
    values = {"database_url": database_url, "database_timeout": 0.5, "database_start_wait": 0}

    async def start() -> None:
        async with open_database(StoreSettings.model_validate(values)) as database:
            assert database is not None
            await database.row("SELECT 1")

    async def has_waited() -> bool:
        waits = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND wait_event = 'advisory' AND now() - query_start > interval '1 second'"
        )
        return starting.done() or await other.fetchrow(waits) is not None

    # Not in a transaction, which would see a snapshot of its start.
    other = await asyncpg.connect(database_url)
    await other.execute("SELECT pg_advisory_lock($1)", migrating._LOCK)
    starting = asyncio.create_task(start())
    await until(has_waited, 10)
    assert not starting.done()
    await other.execute("SELECT pg_advisory_unlock($1)", migrating._LOCK)
    await starting
    await other.close()


async def test_missing_privileges_are_an_error_with_instructions(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "CREATE SCHEMA theirs; CREATE ROLE limited; GRANT ALL ON SCHEMA theirs TO limited; "
        "SET search_path = theirs; SET ROLE limited"
    )
    first = Migration(1, "0001_first.sql", "CREATE EXTENSION pg_visibility")
    try:
        with pytest.raises(StoreError, match=r"CREATE EXTENSION IF NOT EXISTS vector"):
            await migrate(connection, (first,))
    finally:
        await connection.close()


async def test_requests_to_a_hanging_server_fail_together() -> None:
    callers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, caller: callers.append(caller), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    settings = StoreSettings(database_connect_timeout=60, database_timeout=0.5)
    before = asyncio.all_tasks()
    pool = await module._pool(f"postgresql://ann@127.0.0.1:{port}/app", settings)
    database = Database(pool, timeout=settings.database_timeout)
    began = monotonic()
    calls = [database.row("SELECT 1") for _ in range(20)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert monotonic() - began < 3
    assert {type(answer) for answer in answers} == {StoreUnavailableError}
    await database.close()
    assert not asyncio.all_tasks() - before, "the pending attempt has ended"
    silent.close()
    for caller in callers:
        caller.close()
        await caller.wait_closed()


async def test_concurrent_requests_share_one_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    async def fails(_connection: object) -> None:
        attempts.append(1)
        raise OSError("down")

    class Pool:
        async def acquire(self) -> None: ...
        async def release(self, _connection: None) -> None: ...

    monkeypatch.setattr(module, "migrate", fails)
    database = Database(Pool(), timeout=5)
    calls = [database.row("SELECT 1") for _ in range(20)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailableError}
    assert len(attempts) == 1
