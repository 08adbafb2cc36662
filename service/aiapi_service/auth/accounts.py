"""Users and API keys in the database."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

import asyncpg

from aiapi_service.auth.keys import ApiKey
from aiapi_service.auth.principal import Principal, narrow_scopes
from aiapi_service.store.connection import Row
from aiapi_service.store.database import Database


class AccountError(Exception):
    """The requested change is not possible; the message says why."""


@dataclass(frozen=True)
class User:
    """A user, who may log in and own keys."""

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
    """All SQL statements on users and keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def user(self, name: str) -> User | None:
        """The user with this name, case-insensitive."""
        row = await self._database.row("SELECT * FROM users WHERE name = $1", name.lower())
        return _user(row) if row else None

    async def users(self) -> list[Row]:
        """All users, without their password hashes."""
        return await self._database.rows(
            "SELECT name, tenant, scopes, created, disabled, password_hash IS NOT NULL AS password "
            "FROM users ORDER BY name"
        )

    async def add_user(self, name: str, *, tenant: str, scopes: frozenset[str]) -> UUID:
        """Create a user without a password."""
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
            raise AccountError(f"user {name} already exists") from None
        return user

    async def set_password(self, name: str, password_hash: str) -> None:
        """Set the password hash and revoke all sessions of the user."""
        await self._change(
            name, "UPDATE users SET password_hash = $2 WHERE name = $1", password_hash, end=True
        )

    async def rehash(self, user: User, password_hash: str) -> User | None:
        """Store a new hash of the same password. None when the password has changed meanwhile."""
        changed = await self._database.execute(
            "UPDATE users SET password_hash = $2 WHERE id = $1 AND password_hash = $3",
            user.id,
            password_hash,
            user.password_hash,
        )
        return replace(user, password_hash=password_hash) if changed else None

    async def set_disabled(self, name: str, *, disabled: bool) -> None:
        """Disable or enable a user. Disabling revokes all sessions of the user."""
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
                raise AccountError(f"user {name} does not exist")
            if end:
                # A separate statement, so that it also sees the session of a login that held the
                # lock on the user's row until now.
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
        """Store the digest of a key."""
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
        """The keys of one user, or of all users."""
        return await self._database.rows(
            "SELECT k.id, u.name AS owner, k.name, k.scopes, k.created, k.expires, k.revoked "
            "FROM api_keys k JOIN users u ON u.id = k.owner "
            "WHERE $1::text IS NULL OR u.name = $1 ORDER BY u.name, k.created",
            owner.lower() if owner else None,
        )

    async def revoke_key(self, key: str) -> None:
        """Revoke a key permanently."""
        changed = await self._database.execute(
            "UPDATE api_keys SET revoked = coalesce(revoked, now()) WHERE id = $1", key
        )
        if not changed:
            raise AccountError(f"key {key} does not exist")

    async def principal_for(self, key: ApiKey) -> tuple[Principal, float | None] | None:
        """The principal of this key and the key's expiry; None when the key is not valid."""
        row = await self._database.row(_KEY, key.id)
        if row is None or not key.matches(row["digest"]):
            return None
        scopes = narrow_scopes(row["key_scopes"], row["user_scopes"])
        return Principal(row["name"], row["tenant"], scopes, "api-key"), row["expires"]
