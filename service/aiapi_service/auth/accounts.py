"""Users and API keys as they lie in the database."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import asyncpg

from aiapi_service.auth.keys import ApiKey
from aiapi_service.auth.principal import Principal, narrowed
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


class Accounts:
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

    async def set_password(self, name: str, password_hash: str, *, end: bool = True) -> None:
        """Set a hash; a new password ends every session, one hashed anew (end=False) does not."""
        changed = await self._database.execute(
            "WITH who AS (UPDATE users SET password_hash = $2 WHERE name = $1 RETURNING id), "
            "ended AS (UPDATE sessions SET revoked = now() FROM who "
            "          WHERE owner = who.id AND revoked IS NULL AND $3) SELECT id FROM who",
            name.lower(),
            password_hash,
            end,
        )
        if not changed:
            raise AccountError(f"there is no user {name}")

    async def set_disabled(self, name: str, *, disabled: bool) -> None:
        """Let a user in no more, or again. Sessions of a disabled user end for good."""
        changed = await self._database.execute(
            "WITH who AS (UPDATE users SET disabled = CASE WHEN $2 THEN now() END "
            "             WHERE name = $1 RETURNING id), "
            "ended AS (UPDATE sessions SET revoked = now() FROM who "
            "          WHERE owner = who.id AND revoked IS NULL AND $2) SELECT id FROM who",
            name.lower(),
            disabled,
        )
        if not changed:
            raise AccountError(f"there is no user {name}")

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
            sorted(narrowed(scopes, owner.scopes)),
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
        scopes = narrowed(row["key_scopes"], row["user_scopes"])
        return Principal(row["name"], row["tenant"], scopes, "api-key"), row["expires"]
