"""The schema: numbered SQL files, each applied once, in order, by one worker at a time.

A file that was applied must not change, so its checksum is kept. A schema newer than this program
is left alone: during a rollout old pods meet what new ones have made, and each file is written so
that the version before it goes on working.
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
"""For all that is missing together, and for another pod that is at it."""

# Any number will do, so long as all versions of the program take the same.
_LOCK = 0x61_69_61_70_69
_NAME = re.compile(r"(\d{4})_[a-z_]+\.sql")


@dataclass(frozen=True)
class Migration:
    """One file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def packaged() -> tuple[Migration, ...]:
    """The files of this version of the program, in order."""
    found = []
    for file in files("aiapi_service.store").joinpath("migrations").iterdir():
        if match := _NAME.fullmatch(file.name):
            text = file.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), file.name, text))
    return tuple(sorted(found, key=lambda one: one.version))


async def migrate(
    connection: DatabaseConnection, wanted: tuple[Migration, ...] | None = None
) -> None:
    """Apply what is missing: all of it or nothing."""
    try:
        async with connection.transaction():
            await _migrate(connection, wanted if wanted is not None else packaged())
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreError(
            f"the database's user may not prepare the schema: {error}. Let an administrator of the "
            "database run CREATE EXTENSION IF NOT EXISTS vector in it once, and GRANT CREATE, "
            "USAGE on its schema to the user."
        ) from None


async def _migrate(connection: DatabaseConnection, wanted: tuple[Migration, ...]) -> None:
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
    for migration in wanted:
        if migration.version not in applied:
            await _apply(connection, migration)
        elif applied[migration.version] != migration.checksum:
            raise StoreError(
                f"the migration {migration.name} is not the one that was applied to this "
                "database: it was changed afterwards. Restore the file; put changes into a "
                "new one."
            )


async def _run(connection: DatabaseConnection, sql: str, *values: object) -> None:
    # Without a time of its own it would have that of a caller's statement.
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
    logger.info("applied the migration %s", migration.name)
