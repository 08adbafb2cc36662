"""From a credential to whom it stands for."""

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
"""Who calls while authentication is off."""

_TYPE = "at+jwt"


class AccessTokens:
    """Makes and reads this service's own access tokens."""

    def __init__(self, settings: AuthSettings, keyring: WatchedFile[Keyring]) -> None:
        self._settings = settings
        self._keyring = keyring

    def issue(self, session: Session) -> str:
        """A token for a session."""
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

    def knows(self, header: jwts.Claims) -> bool:
        """Whether a token names a key of ours."""
        return self._keyring.content().verifier(header.get("kid"), time.time()) is not None

    def claims(self, text: str, header: jwts.Claims) -> jwts.Claims:
        """The claims of a token that was made here and holds."""
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
    """Knows every kind of credential. What a pod has not (a database, a provider) is None."""

    cache: CredentialCache
    accounts: AccountStore | None = None
    sessions: SessionStore | None = None
    file_keys: WatchedFile[FileKeys] | None = None
    tokens: AccessTokens | None = None
    provider: OidcProvider | None = None
    off: bool = False

    async def close(self) -> None:
        """End what runs in the background."""
        await self.cache.close()
        if self.provider is not None:
            await self.provider.close()

    async def authenticate(self, credential: str) -> Principal:
        """Whom an API key or an access token stands for."""
        if len(credential) > jwts.MAX_TOKEN_BYTES or not credential.isascii():
            raise invalid_token()
        return await self.cache.get(credential, self._look_up)

    async def _look_up(self, credential: str) -> PrincipalWithExpiry:
        if credential.startswith(keys.PREFIX):
            return await self._by_key(credential)
        header = jwts.header(credential)
        if self.tokens is not None and self.tokens.knows(header):
            return await self._by_token(self.tokens.claims(credential, header))
        if self.provider is not None:
            return await self.provider.principal(credential, header)
        raise invalid_token()

    async def _by_key(self, credential: str) -> PrincipalWithExpiry:
        key = keys.parse(credential)
        if key is None:
            raise invalid_token()
        held = self.file_keys.content().get(key.id) if self.file_keys else None
        if held is not None:
            if not key.matches(held.digest) or (held.expires and held.expires <= time.time()):
                raise invalid_token()
            return held.principal, held.expires
        found = await self.accounts.holder(key) if self.accounts else None
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
        granted = str(claims.get("scope", "")).split()
        narrow = principal.scopes.intersection(granted)
        return Principal(principal.subject, principal.tenant, narrow, "user"), float(claims["exp"])

    def session_of(self, credential: str) -> UUID | None:
        """The session of an access token made here, for who wants to end it."""
        if self.tokens is None:
            return None
        return _uuid(self.tokens.claims(credential, jwts.header(credential)).get("sid"))


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
