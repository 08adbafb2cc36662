"""The password flow: log in, refresh, log out."""

import logging
from dataclasses import dataclass, replace

from aiapi_service.auth.accounts import AccountStore, User
from aiapi_service.auth.authenticator import AccessTokens, Authenticator
from aiapi_service.auth.errors import AuthError, grant_error
from aiapi_service.auth.login_throttle import LoginThrottle
from aiapi_service.auth.passwords import MAX_LENGTH, PasswordHasher
from aiapi_service.auth.principal import narrow_scopes
from aiapi_service.auth.sessions import Session, SessionStore

logger = logging.getLogger("aiapi.auth")

_MAX_NAME_LENGTH = 128
# A concurrent login may have rehashed the same password; then it is checked once more.
_ATTEMPTS = 2


@dataclass(frozen=True)
class IssuedTokens:
    """The tokens for a response of the token endpoint."""

    access_token: str
    refresh_token: str
    scopes: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class PasswordFlow:
    """The OAuth 2 password flow."""

    accounts: AccountStore
    sessions: SessionStore
    passwords: PasswordHasher
    throttle: LoginThrottle
    tokens: AccessTokens
    authenticator: Authenticator

    async def log_in(
        self, name: str, password: str, *, scopes: frozenset[str], address: str
    ) -> IssuedTokens:
        """Log in. Unknown users, disabled users and wrong passwords get the same error."""
        await self.throttle.check_address(address)
        await self.throttle.check_account(name[:_MAX_NAME_LENGTH])
        for _ in range(_ATTEMPTS):
            session = await self._session(name, password, scopes)
            if session is not None:
                return self._grant(session)
        raise _wrong()

    async def _session(self, name: str, password: str, scopes: frozenset[str]) -> Session | None:
        """A new session; None when the user changed during the password check."""
        user = await self._user(name, password)
        if user is None:
            return None
        await self.throttle.reset_account(name)
        granted = narrow_scopes(scopes or user.scopes, user.scopes)
        if scopes and not granted:
            raise grant_error("invalid_scope", "The user has none of the requested scopes.")
        return await self.sessions.begin(user, granted)

    async def _user(self, name: str, password: str) -> User | None:
        well_formed = (
            len(name) <= _MAX_NAME_LENGTH and 0 < len(password) <= MAX_LENGTH and "\0" not in name
        )
        user = await self.accounts.user(name) if well_formed else None
        stored = user.password_hash if user and not user.disabled else None
        correct, new_hash = await self.passwords.check(password[:MAX_LENGTH], stored)
        if user is None or not correct or not well_formed:
            raise _wrong()
        return await self.accounts.rehash(user, new_hash) if new_hash else user

    async def refresh(
        self, token: str, *, scopes: frozenset[str] = frozenset(), address: str
    ) -> IssuedTokens:
        """Exchange a refresh token for a new pair of tokens.

        The access token has the requested scopes only; the new refresh token grants all of the
        session, as before (RFC 6749, section 6).

        Only failed refreshes count against the address: a token of 256 bits cannot be guessed, and
        many clients may share one address.
        """
        if scopes:
            await self._check_scopes(token, scopes)
        session = await self.sessions.rotate(token)
        if session is None:
            await self.throttle.check_address(address)
            logger.info("refused a refresh token")
            raise grant_error("invalid_grant", "The refresh token is unknown, used or expired.")
        granted = session.scopes & scopes if scopes else session.scopes
        return self._grant(replace(session, scopes=granted))

    async def _check_scopes(self, token: str, scopes: frozenset[str]) -> None:
        """Before the token is used: a refused request must not cost the session."""
        granted = await self.sessions.scopes(token)
        if granted is not None and (extra := sorted(scopes - granted)):
            raise grant_error("invalid_scope", f"The session was not granted {extra[0][:80]}.")

    def _grant(self, session: Session) -> IssuedTokens:
        return IssuedTokens(self.tokens.issue(session), session.refresh_token, session.scopes)

    async def revoke(self, token: str, *, address: str) -> None:
        """End the session of a refresh or access token. Unknown tokens are no error (RFC 7009)."""
        if await self.sessions.end_by_token(token):
            return
        try:
            session = self.authenticator.session_of(token)
        except AuthError:
            session = None
        if session is None:
            await self.throttle.check_address(address)
        else:
            await self.sessions.end(session)


def _wrong() -> AuthError:
    logger.info("refused a login")
    return grant_error("invalid_grant", "Wrong user name or password.")
