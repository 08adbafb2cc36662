"""The password flow: log in, refresh, log out."""

import logging
from dataclasses import dataclass

from aiapi_service.auth.accounts import Accounts, User
from aiapi_service.auth.authenticator import AccessTokens, Authenticator
from aiapi_service.auth.errors import AuthError, refused_grant
from aiapi_service.auth.guard import Guard
from aiapi_service.auth.passwords import LONGEST, Passwords
from aiapi_service.auth.principal import narrowed
from aiapi_service.auth.sessions import Session, Sessions

logger = logging.getLogger("aiapi.auth")

_LONGEST_NAME = 128
# Another log-in may have hashed the same password anew meanwhile; then it is checked once more.
_TRIES = 2


@dataclass(frozen=True)
class Granted:
    """An answer of the token endpoint."""

    access_token: str
    refresh_token: str
    scopes: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class LogIn:
    """Everything the password flow needs."""

    accounts: Accounts
    sessions: Sessions
    passwords: Passwords
    guard: Guard
    tokens: AccessTokens
    authenticator: Authenticator

    async def with_password(
        self, name: str, password: str, *, scopes: frozenset[str], address: str
    ) -> Granted:
        """Log in. An unknown user, a disabled one and a wrong password look the same."""
        await self.guard.address(address)
        await self.guard.account(name[:_LONGEST_NAME])
        for _ in range(_TRIES):
            session = await self._session(name, password, scopes)
            if session is not None:
                return self._grant(session)
        raise _wrong()

    async def _session(self, name: str, password: str, scopes: frozenset[str]) -> Session | None:
        """A session; None when the user was changed while the password was checked."""
        user = await self._user(name, password)
        if user is None:
            return None
        await self.guard.succeeded(name)
        wanted = narrowed(scopes or user.scopes, user.scopes)
        if scopes and not wanted:
            raise refused_grant("invalid_scope", "None of these scopes is the user's.")
        return await self.sessions.begin(user, wanted)

    async def _user(self, name: str, password: str) -> User | None:
        sane = len(name) <= _LONGEST_NAME and 0 < len(password) <= LONGEST and "\0" not in name
        user = await self.accounts.user(name) if sane else None
        stored = user.password_hash if user and not user.disabled else None
        right, renewed = await self.passwords.check(password[:LONGEST], stored)
        if user is None or not right or not sane:
            raise _wrong()
        return await self.accounts.rehash(user, renewed) if renewed else user

    async def with_refresh_token(self, token: str, *, address: str) -> Granted:
        """Change a refresh token for a new pair.

        Only who has none uses up the address's tries: 256 bits need no limit against guesses, and
        behind one address may be a whole fleet.
        """
        session = await self.sessions.rotate(token)
        if session is None:
            await self.guard.address(address)
            logger.info("a refresh token was refused")
            raise refused_grant("invalid_grant", "The refresh token is unknown, used or expired.")
        return self._grant(session)

    def _grant(self, session: Session) -> Granted:
        return Granted(self.tokens.issue(session), session.refresh_token, session.scopes)

    async def end(self, token: str, *, address: str) -> None:
        """End the session of either token. That there is none is not said."""
        if await self.sessions.end_by_token(token):
            return
        try:
            session = self.authenticator.session_of(token)
        except AuthError:
            session = None
        if session is None:
            await self.guard.address(address)
        else:
            await self.sessions.end(session)


def _wrong() -> AuthError:
    logger.info("a log-in was refused")
    return refused_grant("invalid_grant", "The name or the password is wrong.")
