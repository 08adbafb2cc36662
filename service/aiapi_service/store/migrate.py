"""Schema migrations: numbered SQL files, each applied once, in order, by one worker at a time.

Applied files must not change, so their checksums are stored. A schema that is newer than this
version is left alone: during a rollout old pods use a schema that new pods have migrated, and every
migration keeps the previous version working.
"""

import hashlib
import logging
import re
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from aiapi_service.store.connection import DatabaseConnection
from aiapi_service.store.errors import StoreError

logger = logging.getLogger("aiapi.store")

MIGRATION_SECONDS = 60.0
"""For all pending migrations together, including the wait for another pod."""

# An arbitrary number, the same in all versions.
_LOCK = 0x61_69_61_70_69
_NAME = re.compile(r"(\d{4})_[a-z_]+\.sql")


@dataclass(frozen=True)
class Migration:
    """One SQL file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def packaged() -> tuple[Migration, ...]:
    """The migrations in this package, in order."""
    found = []
    for file in files("aiapi_service.store").joinpath("migrations").iterdir():
        if match := _NAME.fullmatch(file.name):
            text = file.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), file.name, text))
    return tuple(sorted(found, key=lambda one: one.version))


async def migrate(
    connection: DatabaseConnection, migrations: tuple[Migration, ...] | None = None
) -> None:
    """Apply all pending migrations in one transaction."""
    try:
        async with connection.transaction():
            await _migrate(connection, migrations if migrations is not None else packaged())
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreError(
            f"the database user may not create the schema: {error}. As a database administrator, "
            "run CREATE EXTENSION IF NOT EXISTS vector once, and GRANT CREATE, USAGE on the schema "
            "to the user."
        ) from None


async def _migrate(connection: DatabaseConnection, migrations: tuple[Migration, ...]) -> None:
    await _run(connection, "SELECT pg_advisory_xact_lock($1)", _LOCK)
    await _run(
        connection,
        "CREATE TABLE IF NOT EXISTS aiapi_migrations (version integer PRIMARY KEY, "
        "name text NOT NULL, checksum text NOT NULL, applied timestamptz NOT NULL "
        "DEFAULT now())",
    )
    rows = await connection.fetch(
        "SELECT version, checksum FROM aiapi_migrations", timeout=MIGRATION_SECONDS
    )
    applied = {row["version"]: row["checksum"] for row in rows}
    for migration in migrations:
        if migration.version not in applied:
            await _apply(connection, migration)
        elif applied[migration.version] != migration.checksum:
            raise StoreError(
                f"migration {migration.name} was changed after it was applied to this database. "
                "Restore the file and put changes into a new migration."
            )


async def _run(connection: DatabaseConnection, sql: str, *values: object) -> None:
    # Overrides the shorter timeout of the pool.
    await connection.execute(sql, *values, timeout=MIGRATION_SECONDS)


async def _apply(connection: DatabaseConnection, migration: Migration) -> None:
    await _run(connection, migration.sql)
    await _run(
        connection,
        "INSERT INTO aiapi_migrations (version, name, checksum) VALUES ($1, $2, $3)",
        migration.version,
        migration.name,
        migration.checksum,
    )
    logger.info("applied migration %s", migration.name)
