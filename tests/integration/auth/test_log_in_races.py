"""A login does not undo a concurrent change of the user."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from runtime_support.pod import until
from store_support.service import CHEAP, PASSWORD, Service, service

from aiapi_service.auth.passwords import PasswordHasher
from aiapi_service.auth.principal import ALL_SCOPES
from aiapi_service.auth.sessions import SessionStore
from aiapi_service.store.connection import DatabaseConnection
from aiapi_service.store.database import Database

OLD = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=8, parallelism=1),))
NEW_PASSWORD = "another battery staple"
Change = Callable[[Service, str], Awaitable[None]]


class Gated(PasswordHasher):
    """Holds back the result of a check until released."""

    def __init__(self) -> None:
        super().__init__(threads=1, queue=50, scheme=CHEAP)
        self.checked = asyncio.Event()
        self.release = asyncio.Event()

    async def check(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        answer = await super().check(password, stored)
        self.checked.set()
        await self.release.wait()
        return answer


async def _set_password(one: Service, name: str) -> None:
    await one.accounts.set_password(name, CHEAP.hash(NEW_PASSWORD))


async def _disable(one: Service, name: str) -> None:
    await one.accounts.set_disabled(name, disabled=True)


async def _log_in_during(
    one: Service, gate: Gated, name: str, change: Change | None
) -> httpx.Response:
    logging_in = asyncio.create_task(one.log_in(name))
    await gate.checked.wait()
    if change is not None:
        await change(one, name)
    gate.release.set()
    return await logging_in


async def _open_sessions(one: Service, name: str) -> int:
    assert one.database is not None
    rows = await one.database.rows(
        "SELECT s.id FROM sessions s JOIN users u ON u.id = s.owner "
        "WHERE u.name = $1 AND s.revoked IS NULL",
        name,
    )
    return len(rows)


@pytest.mark.parametrize("change", [_set_password, _disable])
@pytest.mark.parametrize("scheme", [CHEAP, OLD], ids=["current", "outdated"])
async def test_a_login_fails_if_the_user_changes_during_the_password_check(
    database_url: str, tmp_path: Path, change: Change, scheme: PasswordHash
) -> None:
    gate, name = Gated(), f"user-{uuid4().hex[:8]}"
    async with service(tmp_path, database_url, passwords=gate) as one:
        await one.add_user(name)
        await one.accounts.set_password(name, scheme.hash(PASSWORD))
        answer = await _log_in_during(one, gate, name, change)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert await _open_sessions(one, name) == 0


async def test_renewing_a_hash_does_not_restore_the_old_password(
    database_url: str, tmp_path: Path
) -> None:
    gate, name = Gated(), f"user-{uuid4().hex[:8]}"
    async with service(tmp_path, database_url, passwords=gate) as one:
        await one.add_user(name)
        await one.accounts.set_password(name, OLD.hash(PASSWORD))
        await _log_in_during(one, gate, name, _set_password)
        assert (await one.log_in(name)).status_code == 400
        assert (await one.log_in(name, NEW_PASSWORD)).status_code == 200


async def test_concurrent_logins_with_an_outdated_hash_succeed(
    database_url: str, tmp_path: Path
) -> None:
    gate, name = Gated(), f"user-{uuid4().hex[:8]}"
    async with service(tmp_path, database_url, passwords=gate) as one:
        await one.add_user(name)
        await one.accounts.set_password(name, OLD.hash(PASSWORD))
        others = [asyncio.create_task(one.log_in(name)) for _ in range(4)]
        answers = [await _log_in_during(one, gate, name, None), *await asyncio.gather(*others)]
        assert {answer.status_code for answer in answers} == {200}
        user = await one.accounts.user(name)
        assert user is not None
        assert user.password_hash is not None
        assert CHEAP.verify_and_update(PASSWORD, user.password_hash) == (True, None)


class Within:
    """Statements in the open transaction of a test."""

    def __init__(self, connection: DatabaseConnection) -> None:
        self._connection = connection

    async def execute(self, sql: str, *values: Any) -> int:
        status = await self._connection.execute(sql, *values)
        return int(status.rpartition(" ")[2])


@pytest.mark.parametrize("change", [_set_password, _disable])
async def test_a_session_that_is_being_stored_is_revoked_too(
    database_url: str, tmp_path: Path, change: Change
) -> None:
    name = f"user-{uuid4().hex[:8]}"
    async with service(tmp_path, database_url) as one:
        assert one.database is not None
        await one.add_user(name)
        user = await one.accounts.user(name)
        assert user is not None

        async def waits() -> bool:
            assert one.database is not None
            held = "SELECT 1 FROM pg_locks WHERE NOT granted"
            return changing.done() or await one.database.row(held) is not None

        async with one.database.transaction() as connection:
            database = cast("Database", Within(connection))
            sessions = SessionStore(database, refresh=600, session=600, grace=0)
            assert await sessions.begin(user, ALL_SCOPES) is not None
            changing = asyncio.create_task(change(one, name))
            await until(waits)
        await changing
        assert await _open_sessions(one, name) == 0
