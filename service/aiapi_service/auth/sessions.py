"""Log-ins and their refresh tokens as they lie in the database."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from uuid import UUID, uuid4

from aiapi_service.auth.accounts import User
from aiapi_service.auth.principal import Principal, narrow_scopes
from aiapi_service.store.connection import Row
from aiapi_service.store.database import Database

_FORM = re.compile(r"aiapi-refresh_[A-Za-z0-9_-]{43}", re.ASCII)

# The user's row is held, so that whoever disables them or sets a password either has done so, and
# nothing begins, or waits, and then finds this session to end.
_BEGIN = """
WITH who AS MATERIALIZED (
    SELECT id FROM users WHERE id = $2 AND disabled IS NULL AND password_hash = $7 FOR SHARE
), born AS (
    INSERT INTO sessions (id, owner, scopes, expires)
    SELECT $1, id, $3, now() + $4 * interval '1 second' FROM who
    RETURNING id, expires
)
INSERT INTO refresh_tokens (digest, session, expires)
SELECT $5, id, least(now() + $6 * interval '1 second', expires) FROM born
"""

# One statement: the row locks of its first part hold until the last part is done, so of two that
# come with one token at once the second sees what the first has made of it.
_ROTATE = """
WITH presented AS MATERIALIZED (
    SELECT t.session, t.used, t.uses, t.expires, s.expires AS ends, s.revoked, s.owner, s.scopes
    FROM refresh_tokens t JOIN sessions s ON s.id = t.session
    WHERE t.digest = $1
    FOR UPDATE
), judged AS (
    SELECT *, CASE
        WHEN revoked IS NOT NULL OR expires <= clock_timestamp() OR ends <= clock_timestamp()
            THEN 'over'
        WHEN uses = 0 THEN 'good'
        WHEN used > clock_timestamp() - $4 * interval '1 second'
            THEN CASE WHEN uses = 1 THEN 'good' ELSE 'late' END
        ELSE 'stolen' END AS verdict
    FROM presented
), spent AS (
    UPDATE refresh_tokens t
    SET used = coalesce(t.used, clock_timestamp()), uses = t.uses + 1
    FROM judged WHERE t.digest = $1 AND verdict = 'good'
), born AS (
    INSERT INTO refresh_tokens (digest, session, expires)
    SELECT $2, session, least(clock_timestamp() + $3 * interval '1 second', ends)
    FROM judged JOIN users u ON u.id = judged.owner
    WHERE verdict = 'good' AND u.disabled IS NULL
), ended AS (
    UPDATE sessions SET revoked = clock_timestamp()
    FROM judged WHERE sessions.id = judged.session AND verdict = 'stolen'
)
SELECT judged.verdict, judged.session, judged.scopes AS session_scopes,
       u.id, u.name, u.tenant, u.scopes, u.disabled
FROM judged JOIN users u ON u.id = judged.owner
"""


@dataclass(frozen=True)
class Session:
    """What a log-in or a refresh gives."""

    id: UUID
    owner: UUID
    name: str
    scopes: frozenset[str]
    refresh_token: str


def new_token() -> str:
    """A refresh token: 256 random bits, stored as their digest alone."""
    return f"aiapi-refresh_{secrets.token_urlsafe(32)}"


def digest(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


class SessionStore:
    """Every statement about sessions and refresh tokens."""

    def __init__(self, database: Database, *, refresh: float, session: float, grace: float) -> None:
        self._database = database
        self._refresh = refresh
        self._session = session
        self._grace = grace

    async def begin(self, user: User, scopes: frozenset[str]) -> Session | None:
        """A session for somebody who has shown who they are; None when they are not any more."""
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
        """A new token for this one, once. One that was used before ends the whole session."""
        if not _FORM.fullmatch(token):
            return None
        successor = new_token()
        values = (digest(token), digest(successor), float(self._refresh), float(self._grace))
        row = await self._database.row(_ROTATE, *values)
        if row is None or row["verdict"] != "good" or row["disabled"]:
            return None
        scopes = narrow_scopes(row["session_scopes"], row["scopes"])
        return Session(row["session"], row["id"], row["name"], scopes, successor)

    async def principal(self, session: UUID, owner: str) -> Principal | None:
        """Whom an access token of this session stands for; None when it has ended."""
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
        """End the session of a refresh token, used or not; whether there is one."""
        if not _FORM.fullmatch(token):
            return False
        ended = await self._database.execute(
            "UPDATE sessions SET revoked = coalesce(sessions.revoked, now()) "
            "FROM refresh_tokens t WHERE t.session = sessions.id AND t.digest = $1",
            digest(token),
        )
        return bool(ended)
