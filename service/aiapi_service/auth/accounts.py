"""Users and API keys as they lie in the database."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

import asyncpg

from aiapi_service.auth.keys import ApiKey
from aiapi_service.auth.principal import Principal, narrow_scopes
from aiapi_service.store.connection import Row
from aiapi_service.store.database import Database


class AccountError(Exception):
    """What was asked for cannot be done; the message says why."""


@dataclass(frozen=True)
class User:
    """Somebody who may log in or own keys."""

    id: UUID
    name: str
    tenant: str
    scopes: frozenset[str]
    password_hash: str | None
    disabled: bool


def _user(row: Row) -> User:
    return User(
        id=row["id"],
        name=row["name"],
        tenant=row["tenant"],
        scopes=frozenset(row["scopes"]),
        password_hash=row["password_hash"],
        disabled=row["disabled"] is not None,
    )


_KEY = """
SELECT k.digest, k.scopes AS key_scopes, extract(epoch FROM k.expires)::float8 AS expires,
       u.name, u.tenant, u.scopes AS user_scopes
FROM api_keys k JOIN users u ON u.id = k.owner
WHERE k.id = $1 AND k.revoked IS NULL AND u.disabled IS NULL
  AND (k.expires IS NULL OR k.expires > now())
"""


class AccountStore:
    """Every statement about users and keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def user(self, name: str) -> User | None:
        """The user of this name, in whatever case it was typed."""
        row = await self._database.row("SELECT * FROM users WHERE name = $1", name.lower())
        return _user(row) if row else None

    async def users(self) -> list[Row]:
        """All users, without their hashes."""
        return await self._database.rows(
            "SELECT name, tenant, scopes, created, disabled, password_hash IS NOT NULL AS password "
            "FROM users ORDER BY name"
        )

    async def add_user(self, name: str, *, tenant: str, scopes: frozenset[str]) -> UUID:
        """Make a user, without a password as yet."""
        user = uuid4()
        try:
            await self._database.execute(
                "INSERT INTO users (id, name, tenant, scopes) VALUES ($1, $2, $3, $4)",
                user,
                name.lower(),
                tenant,
                sorted(scopes),
            )
        except asyncpg.UniqueViolationError:
            raise AccountError(f"there is a user {name} already") from None
        return user

    async def set_password(self, name: str, password_hash: str) -> None:
        """Set a hash. A new password ends every session."""
        await self._change(
            name, "UPDATE users SET password_hash = $2 WHERE name = $1", password_hash, end=True
        )

    async def rehash(self, user: User, password_hash: str) -> User | None:
        """The user with the same password hashed anew; None when it is another by now."""
        changed = await self._database.execute(
            "UPDATE users SET password_hash = $2 WHERE id = $1 AND password_hash = $3",
            user.id,
            password_hash,
            user.password_hash,
        )
        return replace(user, password_hash=password_hash) if changed else None

    async def set_disabled(self, name: str, *, disabled: bool) -> None:
        """Let a user in no more, or again. Sessions of a disabled user end for good."""
        await self._change(
            name,
            "UPDATE users SET disabled = CASE WHEN $2 THEN now() END WHERE name = $1",
            disabled,
            end=disabled,
        )

    async def _change(self, name: str, update: str, value: object, *, end: bool) -> None:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(f"{update} RETURNING id", name.lower(), value)
            if row is None:
                raise AccountError(f"there is no user {name}")
            if end:
                # A statement of its own: it sees the session of a log-in that held the user's row
                # until now, and one statement for both would not.
                await connection.execute(
                    "UPDATE sessions SET revoked = now() WHERE owner = $1 AND revoked IS NULL",
                    row["id"],
                )

    async def add_key(
        self,
        key: ApiKey,
        *,
        owner: User,
        name: str,
        scopes: frozenset[str],
        expires: datetime | None,
    ) -> None:
        """Store a key's digest."""
        await self._database.execute(
            "INSERT INTO api_keys (id, digest, owner, name, scopes, expires) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            key.id,
            key.digest,
            owner.id,
            name,
            sorted(narrow_scopes(scopes, owner.scopes)),
            expires,
        )

    async def keys(self, owner: str | None = None) -> list[Row]:
        """The keys of one user, or of all."""
        return await self._database.rows(
            "SELECT k.id, u.name AS owner, k.name, k.scopes, k.created, k.expires, k.revoked "
            "FROM api_keys k JOIN users u ON u.id = k.owner "
            "WHERE $1::text IS NULL OR u.name = $1 ORDER BY u.name, k.created",
            owner.lower() if owner else None,
        )

    async def revoke_key(self, key: str) -> None:
        """Let a key in no more, for good."""
        changed = await self._database.execute(
            "UPDATE api_keys SET revoked = coalesce(revoked, now()) WHERE id = $1", key
        )
        if not changed:
            raise AccountError(f"there is no key {key}")

    async def holder(self, key: ApiKey) -> tuple[Principal, float | None] | None:
        """Whom this key lets in, and until when; None when nobody."""
        row = await self._database.row(_KEY, key.id)
        if row is None or not key.matches(row["digest"]):
            return None
        scopes = narrow_scopes(row["key_scopes"], row["user_scopes"])
        return Principal(row["name"], row["tenant"], scopes, "api-key"), row["expires"]
