"""Login sessions and their refresh tokens in the database."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from uuid import UUID, uuid4

from aiapi_service.auth.accounts import User
from aiapi_service.auth.principal import Principal, narrow_scopes
from aiapi_service.store.connection import Row
from aiapi_service.store.database import Database

_PATTERN = re.compile(r"aiapi-refresh_[A-Za-z0-9_-]{43}", re.ASCII)

# Locks the user's row. A concurrent change of the user has either committed, and no session
# begins, or it waits and then revokes this session too.
_BEGIN = """
WITH valid_user AS MATERIALIZED (
    SELECT id FROM users WHERE id = $2 AND disabled IS NULL AND password_hash = $7 FOR SHARE
), created AS (
    INSERT INTO sessions (id, owner, scopes, expires)
    SELECT $1, id, $3, now() + $4 * interval '1 second' FROM valid_user
    RETURNING id, expires
)
INSERT INTO refresh_tokens (digest, session, expires)
SELECT $5, id, least(now() + $6 * interval '1 second', expires) FROM created
"""

# One statement: the row locks of its first part last to its end, so of two concurrent uses of one
# token the second sees the result of the first.
_ROTATE = """
WITH presented AS MATERIALIZED (
    SELECT t.session, t.used, t.uses, t.expires, s.expires AS ends, s.revoked, s.owner, s.scopes
    FROM refresh_tokens t JOIN sessions s ON s.id = t.session
    WHERE t.digest = $1
    FOR UPDATE
), evaluated AS (
    SELECT *, CASE
        WHEN revoked IS NOT NULL OR expires <= clock_timestamp() OR ends <= clock_timestamp()
            THEN 'ended'
        WHEN uses = 0 THEN 'valid'
        WHEN used > clock_timestamp() - $4 * interval '1 second'
            THEN CASE WHEN uses = 1 THEN 'valid' ELSE 'late' END
        ELSE 'reused' END AS verdict
    FROM presented
), spent AS (
    UPDATE refresh_tokens t
    SET used = coalesce(t.used, clock_timestamp()), uses = t.uses + 1
    FROM evaluated WHERE t.digest = $1 AND verdict = 'valid'
), created AS (
    INSERT INTO refresh_tokens (digest, session, expires)
    SELECT $2, session, least(clock_timestamp() + $3 * interval '1 second', ends)
    FROM evaluated JOIN users u ON u.id = evaluated.owner
    WHERE verdict = 'valid' AND u.disabled IS NULL
), ended AS (
    UPDATE sessions SET revoked = clock_timestamp()
    FROM evaluated WHERE sessions.id = evaluated.session AND verdict = 'reused'
)
SELECT evaluated.verdict, evaluated.session, evaluated.scopes AS session_scopes,
       u.id, u.name, u.tenant, u.scopes, u.disabled
FROM evaluated JOIN users u ON u.id = evaluated.owner
"""


@dataclass(frozen=True)
class Session:
    """The result of a login or a refresh."""

    id: UUID
    owner: UUID
    name: str
    scopes: frozenset[str]
    refresh_token: str


def new_token() -> str:
    """Generate a refresh token of 256 random bits. Only its digest is stored."""
    return f"aiapi-refresh_{secrets.token_urlsafe(32)}"


def digest(token: str) -> bytes:
    """The digest of a token, as it is stored."""
    return hashlib.sha256(token.encode()).digest()


class SessionStore:
    """All SQL statements on sessions and refresh tokens."""

    def __init__(self, database: Database, *, refresh: float, session: float, grace: float) -> None:
        self._database = database
        self._refresh = refresh
        self._session = session
        self._grace = grace

    async def begin(self, user: User, scopes: frozenset[str]) -> Session | None:
        """Begin a session for an authenticated user; None when the user has changed meanwhile."""
        session, token = uuid4(), new_token()
        begun = await self._database.execute(
            _BEGIN,
            session,
            user.id,
            sorted(scopes),
            float(self._session),
            digest(token),
            float(self._refresh),
            user.password_hash,
        )
        if not begun:
            return None
        return Session(session, user.id, user.name, narrow_scopes(scopes, user.scopes), token)

    async def rotate(self, token: str) -> Session | None:
        """Replace a refresh token by a new one. Reusing an old one ends the session."""
        if not _PATTERN.fullmatch(token):
            return None
        successor = new_token()
        values = (digest(token), digest(successor), float(self._refresh), float(self._grace))
        row = await self._database.row(_ROTATE, *values)
        if row is None or row["verdict"] != "valid" or row["disabled"]:
            return None
        scopes = narrow_scopes(row["session_scopes"], row["scopes"])
        return Session(row["session"], row["id"], row["name"], scopes, successor)

    async def scopes(self, token: str) -> frozenset[str] | None:
        """The scopes that a refresh token grants; None for an unknown token."""
        row = await self._database.row(
            "SELECT s.scopes AS session_scopes, u.scopes FROM refresh_tokens t "
            "JOIN sessions s ON s.id = t.session JOIN users u ON u.id = s.owner "
            "WHERE t.digest = $1",
            digest(token),
        )
        return narrow_scopes(row["session_scopes"], row["scopes"]) if row else None

    async def principal(self, session: UUID, owner: str) -> Principal | None:
        """The principal of a session; None when the session has ended."""
        row: Row | None = await self._database.row(
            "SELECT u.name, u.tenant, u.scopes, s.scopes AS session_scopes "
            "FROM sessions s JOIN users u ON u.id = s.owner "
            "WHERE s.id = $1 AND u.id::text = $2 AND s.revoked IS NULL AND s.expires > now() "
            "AND u.disabled IS NULL",
            session,
            owner,
        )
        if row is None:
            return None
        scopes = narrow_scopes(row["session_scopes"], row["scopes"])
        return Principal(row["name"], row["tenant"], scopes, "user")

    async def end(self, session: UUID) -> None:
        """End a session."""
        await self._database.execute(
            "UPDATE sessions SET revoked = coalesce(revoked, now()) WHERE id = $1", session
        )

    async def end_by_token(self, token: str) -> bool:
        """End the session of a refresh token, used or not. False for an unknown token."""
        if not _PATTERN.fullmatch(token):
            return False
        ended = await self._database.execute(
            "UPDATE sessions SET revoked = coalesce(sessions.revoked, now()) "
            "FROM refresh_tokens t WHERE t.session = sessions.id AND t.digest = $1",
            digest(token),
        )
        return bool(ended)
