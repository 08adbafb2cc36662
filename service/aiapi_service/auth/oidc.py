"""Access tokens of an OpenID Connect provider, by the keys that it publishes.

The keys are kept for an hour, and asked for anew when a token names one that is not among them:
three times at once, and then once each half minute, for tokens cost an attacker nothing, and the
provider is not ours to flood. A token whose key may be newer than ours is not refused meanwhile:
its caller is told to come again. After a question that failed the next comes after 1, 2, 4 ... 30
seconds. While the provider cannot be reached the keys of before go on verifying.
"""

import asyncio
import json
import logging
import math
from collections.abc import Mapping
from time import monotonic
from typing import Any

import aiohttp
import jwt

from aiapi_service.auth import jwts
from aiapi_service.auth.errors import AuthError, invalid_token
from aiapi_service.auth.principal import Principal, narrow_scopes
from aiapi_service.auth.settings import AuthSettings

logger = logging.getLogger("aiapi.auth")

_FRESH_SECONDS = 3600.0
_AGAIN_SECONDS = 30.0
_AT_ONCE = 3
_DEADLINE_SECONDS = 5.0
_LARGEST = 2**20
_LONGEST_NAME = 256
_FAMILIES = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}


class ProviderError(Exception):
    """The provider did not give its keys."""


class OidcProvider:
    """One issuer. Its session and its task end with `close`."""

    def __init__(self, settings: AuthSettings) -> None:
        assert settings.oidc_issuer is not None  # noqa: S101 - made only where there is one
        assert settings.oidc_audience is not None  # noqa: S101 - the settings see to it
        self._settings = settings
        self._issuer: str = settings.oidc_issuer
        self._audience: str = settings.oidc_audience
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched = -_FRESH_SECONDS
        self._tried = -_AGAIN_SECONDS
        self._failures = 0
        # As in the limits: when all questions could be asked at once again.
        self._full_at = 0.0
        self._fetching: asyncio.Task[None] | None = None
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_DEADLINE_SECONDS), trust_env=True
        )

    async def close(self) -> None:
        """Stop asking."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        await self._session.close()

    async def principal(
        self, text: str, header: Mapping[str, Any]
    ) -> tuple[Principal, float | None]:
        """Whom this token stands for, and until when."""
        key = await self._key(header.get("kid"))
        algorithm = header.get("alg")
        if algorithm not in self._settings.oidc_algorithms or not _fits(key, algorithm):
            raise invalid_token()
        claims = jwts.claims(
            text, key.key, algorithm=algorithm, issuer=self._issuer, audience=self._audience
        )
        return self._principal(claims), float(claims["exp"])

    def _principal(self, claims: jwts.Claims) -> Principal:
        subject = _name(claims.get("sub"))
        # Nobody here can be called by a name with a colon: no subject becomes a local tenant.
        tenant = f"oidc:{self._issuer}#{subject}"
        if self._settings.oidc_tenant_claim:
            tenant = _name(claims.get(self._settings.oidc_tenant_claim))
        scopes = narrow_scopes(_scopes(claims), self._settings.oidc_scopes)
        return Principal(f"{self._issuer}#{subject}", tenant, scopes, "oidc")

    async def _key(self, kid: object) -> jwt.PyJWK:
        if not isinstance(kid, str):
            raise invalid_token()
        now = monotonic()
        if kid not in self._keys or now - self._fetched > _FRESH_SECONDS:
            asked = await self._refresh(now, needed=kid not in self._keys)
            if kid not in self._keys and not (asked and self._keys and not self._failures):
                raise _no_keys(self._wait(now))
        if kid not in self._keys:
            raise invalid_token()
        return self._keys[kid]

    async def _refresh(self, now: float, *, needed: bool) -> bool:
        """Whether the provider has been asked since."""
        if self._fetching is None and not self._wait(now):
            self._tried = now
            self._full_at = max(self._full_at, now) + _AGAIN_SECONDS
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._done)
        if self._fetching is None or not needed:
            return False
        # Others wait for the same answer: a caller who leaves does not take it with them.
        await asyncio.shield(self._fetching)
        return True

    def _wait(self, now: float) -> float:
        """Seconds until the provider may be asked again."""
        if self._failures:
            pause = min(_AGAIN_SECONDS, 2.0 ** min(self._failures - 1, 5))
            return max(0.0, self._tried + pause - now)
        return max(0.0, self._full_at - now - (_AT_ONCE - 1) * _AGAIN_SECONDS)

    def _done(self, _task: "asyncio.Task[None]") -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        try:
            url = self._settings.oidc_jwks_url or await self._discover()
            keys = _parse(await self._get(url))
        except (ProviderError, aiohttp.ClientError, TimeoutError, ValueError) as error:
            logger.warning("no keys from %s: %s", self._issuer, str(error) or type(error).__name__)
            self._failures += 1
            return
        self._keys, self._fetched, self._failures = keys, monotonic(), 0

    async def _discover(self) -> str:
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        document = await self._get(url)
        where = document.get("jwks_uri")
        if document.get("issuer") != self._issuer:
            raise ProviderError("its discovery document names another issuer")
        if not isinstance(where, str) or not where.startswith(("https://", "http://")):
            raise ProviderError("its discovery document has no jwks_uri")
        if where.startswith("http://") and self._issuer.startswith("https://"):
            raise ProviderError("its jwks_uri is not https")
        return where

    async def _get(self, url: str) -> dict[str, Any]:
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise ProviderError(f"{url} answered {response.status}")
            body = await response.content.read(_LARGEST + 1)
            while len(body) <= _LARGEST and not response.content.at_eof():
                body += await response.content.read(_LARGEST + 1 - len(body))
        if len(body) > _LARGEST:
            raise ProviderError(f"{url} is larger than {_LARGEST} bytes")
        try:
            document = json.loads(body)
        except RecursionError:
            raise ProviderError(f"{url} is nested too deeply") from None
        if not isinstance(document, dict):
            raise ProviderError(f"{url} is not a JSON object")
        return document


def _no_keys(wait: float) -> AuthError:
    return AuthError(
        503,
        "auth-busy",
        "The identity provider's keys cannot be had now. Try again soon.",
        headers={"Retry-After": str(max(1, math.ceil(wait)))},
    )


def _parse(document: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The keys that can verify. One that is not understood does no harm to the others."""
    found = {}
    entries = document.get("keys")
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        kid = entry.get("kid")
        if not isinstance(kid, str) or entry.get("kty") not in _FAMILIES:
            continue
        try:
            found[kid] = jwt.PyJWK(entry)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            logger.warning("a key of the provider cannot be used: %r", kid[:64])
    if not found:
        raise ProviderError("it publishes no key that can be used")
    return found


def _fits(key: jwt.PyJWK, algorithm: str) -> bool:
    """A key verifies with its own kind of algorithm: never an RSA key as the secret of an HMAC."""
    declared = key._jwk_data.get("alg")  # noqa: SLF001 - PyJWK guesses one where there is none
    return algorithm.startswith(_FAMILIES[key.key_type or ""]) and declared in {None, algorithm}


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME or not value.isprintable():
        raise invalid_token()
    return value


def _scopes(claims: jwts.Claims) -> list[str]:
    value = claims.get("scope", claims.get("scp", ""))
    words = value.split() if isinstance(value, str) else value
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []
