"""Resolves a credential to a principal."""

import time
from dataclasses import dataclass
from uuid import UUID, uuid4

import jwt

from aiapi_service.auth import jwts, keys
from aiapi_service.auth.accounts import AccountStore
from aiapi_service.auth.cache import CredentialCache, PrincipalWithExpiry
from aiapi_service.auth.errors import invalid_token
from aiapi_service.auth.key_file import FileKeys
from aiapi_service.auth.oidc import OidcProvider
from aiapi_service.auth.principal import ALL_SCOPES, Principal
from aiapi_service.auth.secret_files import WatchedFile
from aiapi_service.auth.sessions import Session, SessionStore
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.auth.signing import Keyring

ANONYMOUS = Principal("anybody", "anybody", ALL_SCOPES, "off")
"""The principal of every request while authentication is off."""

_TYPE = "at+jwt"


class AccessTokens:
    """Issues and verifies the access tokens of this service."""

    def __init__(self, settings: AuthSettings, keyring: WatchedFile[Keyring]) -> None:
        self._settings = settings
        self._keyring = keyring

    def issue(self, session: Session) -> str:
        """Issue an access token for a session."""
        now = time.time()
        key = self._keyring.content().signer(now)
        claims = {
            "iss": self._settings.auth_issuer,
            "aud": self._settings.auth_audience,
            "sub": str(session.owner),
            "sid": str(session.id),
            "scope": " ".join(sorted(session.scopes)),
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now) + self._settings.auth_access_seconds,
            "jti": uuid4().hex,
        }
        header = {"kid": key.kid, "typ": _TYPE}
        return jwt.encode(claims, key.to_sign, algorithm=key.algorithm, headers=header)

    def has_key_for(self, header: jwts.Claims) -> bool:
        """Whether the token was signed with one of our keys, according to its header."""
        return self._keyring.content().verifier(header.get("kid"), time.time()) is not None

    def claims(self, text: str, header: jwts.Claims) -> jwts.Claims:
        """Verify a token issued here and return its claims."""
        key = self._keyring.content().verifier(header.get("kid"), time.time())
        if key is None or header.get("typ") != _TYPE:
            raise invalid_token()
        return jwts.claims(
            text,
            key.to_verify,
            algorithm=key.algorithm,
            issuer=self._settings.auth_issuer,
            audience=self._settings.auth_audience,
        )


@dataclass(frozen=True, kw_only=True)
class Authenticator:
    """Authenticates every kind of credential. Parts that are not configured are None."""

    cache: CredentialCache
    accounts: AccountStore | None = None
    sessions: SessionStore | None = None
    file_keys: WatchedFile[FileKeys] | None = None
    tokens: AccessTokens | None = None
    provider: OidcProvider | None = None
    off: bool = False

    async def close(self) -> None:
        """Stop background tasks."""
        await self.cache.close()
        if self.provider is not None:
            await self.provider.close()

    async def authenticate(self, credential: str) -> Principal:
        """The principal of an API key or an access token."""
        if len(credential) > jwts.MAX_TOKEN_BYTES or not credential.isascii():
            raise invalid_token()
        return await self.cache.get(credential, self._look_up)

    async def _look_up(self, credential: str) -> PrincipalWithExpiry:
        if credential.startswith(keys.PREFIX):
            return await self._by_key(credential)
        header = jwts.header(credential)
        if self.tokens is not None and self.tokens.has_key_for(header):
            return await self._by_token(self.tokens.claims(credential, header))
        if self.provider is not None:
            return await self.provider.principal(credential, header)
        raise invalid_token()

    async def _by_key(self, credential: str) -> PrincipalWithExpiry:
        key = keys.parse(credential)
        if key is None:
            raise invalid_token()
        file_key = self.file_keys.content().get(key.id) if self.file_keys else None
        if file_key is not None:
            expired = file_key.expires and file_key.expires <= time.time()
            if expired or not key.matches(file_key.digest):
                raise invalid_token()
            return file_key.principal, file_key.expires
        found = await self.accounts.principal_for(key) if self.accounts else None
        if found is None:
            raise invalid_token()
        return found

    async def _by_token(self, claims: jwts.Claims) -> PrincipalWithExpiry:
        session = _uuid(claims.get("sid"))
        if self.sessions is None or session is None:
            raise invalid_token()
        principal = await self.sessions.principal(session, str(claims["sub"]))
        if principal is None:
            raise invalid_token()
        token_scopes = str(claims.get("scope", "")).split()
        scopes = principal.scopes.intersection(token_scopes)
        return Principal(principal.subject, principal.tenant, scopes, "user"), float(claims["exp"])

    def session_of(self, credential: str) -> UUID | None:
        """The session of an access token issued here."""
        if self.tokens is None:
            return None
        return _uuid(self.tokens.claims(credential, jwts.header(credential)).get("sid"))


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
