"""The password flow: log in, refresh, log out."""

import logging
from dataclasses import dataclass

from aiapi_service.auth.accounts import AccountStore, User
from aiapi_service.auth.authenticator import AccessTokens, Authenticator
from aiapi_service.auth.errors import AuthError, grant_error
from aiapi_service.auth.login_throttle import LoginThrottle
from aiapi_service.auth.passwords import MAX_LENGTH, PasswordHasher
from aiapi_service.auth.principal import narrow_scopes
from aiapi_service.auth.sessions import Session, SessionStore

logger = logging.getLogger("aiapi.auth")

_LONGEST_NAME = 128
# Another log-in may have hashed the same password anew meanwhile; then it is checked once more.
_TRIES = 2


@dataclass(frozen=True)
class IssuedTokens:
    """An answer of the token endpoint."""

    access_token: str
    refresh_token: str
    scopes: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class PasswordFlow:
    """Everything the password flow needs."""

    accounts: AccountStore
    sessions: SessionStore
    passwords: PasswordHasher
    guard: LoginThrottle
    tokens: AccessTokens
    authenticator: Authenticator

    async def with_password(
        self, name: str, password: str, *, scopes: frozenset[str], address: str
    ) -> IssuedTokens:
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
        wanted = narrow_scopes(scopes or user.scopes, user.scopes)
        if scopes and not wanted:
            raise grant_error("invalid_scope", "None of these scopes is the user's.")
        return await self.sessions.begin(user, wanted)

    async def _user(self, name: str, password: str) -> User | None:
        sane = len(name) <= _LONGEST_NAME and 0 < len(password) <= MAX_LENGTH and "\0" not in name
        user = await self.accounts.user(name) if sane else None
        stored = user.password_hash if user and not user.disabled else None
        right, renewed = await self.passwords.check(password[:MAX_LENGTH], stored)
        if user is None or not right or not sane:
            raise _wrong()
        return await self.accounts.rehash(user, renewed) if renewed else user

    async def with_refresh_token(self, token: str, *, address: str) -> IssuedTokens:
        """Change a refresh token for a new pair.

        Only who has none uses up the address's tries: 256 bits need no limit against guesses, and
        behind one address may be a whole fleet.
        """
        session = await self.sessions.rotate(token)
        if session is None:
            await self.guard.address(address)
            logger.info("a refresh token was refused")
            raise grant_error("invalid_grant", "The refresh token is unknown, used or expired.")
        return self._grant(session)

    def _grant(self, session: Session) -> IssuedTokens:
        return IssuedTokens(self.tokens.issue(session), session.refresh_token, session.scopes)

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
    return grant_error("invalid_grant", "The name or the password is wrong.")
