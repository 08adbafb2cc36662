"""Verifies access tokens of an OpenID Connect provider with the keys that it publishes.

Keys are cached for an hour, and fetched again when a token names an unknown key: up to three times
in a row and then once every 30 seconds, so that forged tokens cannot flood the provider. Meanwhile
a token with an unknown key gets 503 with Retry-After, since its key may be new. Failed fetches are
retried after 1, 2, 4 ... 30 seconds. While the provider is not available the cached keys stay
valid.
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

_KEYS_TTL_SECONDS = 3600.0
_REFETCH_SECONDS = 30.0
_BURST = 3
_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 2**20
_MAX_NAME_LENGTH = 256
_FAMILIES = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}


class ProviderError(Exception):
    """The keys of the provider cannot be fetched or used."""


class OidcProvider:
    """One issuer. `close` ends its HTTP session and its fetch task."""

    def __init__(self, settings: AuthSettings) -> None:
        assert settings.oidc_issuer is not None  # noqa: S101 - created only with an issuer
        assert settings.oidc_audience is not None  # noqa: S101 - validated by the settings
        self._settings = settings
        self._issuer: str = settings.oidc_issuer
        self._audience: str = settings.oidc_audience
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched = -_KEYS_TTL_SECONDS
        self._tried = -_REFETCH_SECONDS
        self._failures = 0
        # Generic cell rate algorithm: the time at which a full burst is allowed again.
        self._full_at = 0.0
        self._fetching: asyncio.Task[None] | None = None
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS), trust_env=True
        )

    async def close(self) -> None:
        """Stop fetching keys and close the session."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        await self._session.close()

    async def principal(
        self, text: str, header: Mapping[str, Any]
    ) -> tuple[Principal, float | None]:
        """The principal of this token, and its expiry."""
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
        # Local tenants have no colon in their names, so a subject never becomes a local tenant.
        tenant = f"oidc:{self._issuer}#{subject}"
        if self._settings.oidc_tenant_claim:
            tenant = _name(claims.get(self._settings.oidc_tenant_claim))
        scopes = narrow_scopes(_scopes(claims), self._settings.oidc_scopes)
        return Principal(f"{self._issuer}#{subject}", tenant, scopes, "oidc")

    async def _key(self, kid: object) -> jwt.PyJWK:
        if not isinstance(kid, str):
            raise invalid_token()
        now = monotonic()
        if kid not in self._keys or now - self._fetched > _KEYS_TTL_SECONDS:
            fetched = await self._refresh(now, wait=kid not in self._keys)
            if kid not in self._keys and not (fetched and self._keys and not self._failures):
                raise _no_keys(self._wait(now))
        if kid not in self._keys:
            raise invalid_token()
        return self._keys[kid]

    async def _refresh(self, now: float, *, wait: bool) -> bool:
        """Start a fetch if allowed. Returns whether a fetch has ended since the call."""
        if self._fetching is None and not self._wait(now):
            self._tried = now
            self._full_at = max(self._full_at, now) + _REFETCH_SECONDS
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._done)
        if self._fetching is None or not wait:
            return False
        # Shielded: a caller that disconnects must not cancel the fetch for the others.
        await asyncio.shield(self._fetching)
        return True

    def _wait(self, now: float) -> float:
        """Seconds until the next fetch is allowed."""
        if self._failures:
            pause = min(_REFETCH_SECONDS, 2.0 ** min(self._failures - 1, 5))
            return max(0.0, self._tried + pause - now)
        return max(0.0, self._full_at - now - (_BURST - 1) * _REFETCH_SECONDS)

    def _done(self, _task: "asyncio.Task[None]") -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        try:
            url = self._settings.oidc_jwks_url or await self._discover()
            keys = _parse(await self._get(url))
        except (ProviderError, aiohttp.ClientError, TimeoutError, ValueError) as error:
            logger.warning(
                "cannot fetch the keys of %s: %s", self._issuer, str(error) or type(error).__name__
            )
            self._failures += 1
            return
        self._keys, self._fetched, self._failures = keys, monotonic(), 0

    async def _discover(self) -> str:
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        document = await self._get(url)
        where = document.get("jwks_uri")
        if document.get("issuer") != self._issuer:
            raise ProviderError("the discovery document names another issuer")
        if not isinstance(where, str) or not where.startswith(("https://", "http://")):
            raise ProviderError("the discovery document has no jwks_uri")
        if where.startswith("http://") and self._issuer.startswith("https://"):
            raise ProviderError("jwks_uri is not https")
        return where

    async def _get(self, url: str) -> dict[str, Any]:
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise ProviderError(f"{url} answered {response.status}")
            body = await response.content.read(_MAX_BYTES + 1)
            while len(body) <= _MAX_BYTES and not response.content.at_eof():
                body += await response.content.read(_MAX_BYTES + 1 - len(body))
        if len(body) > _MAX_BYTES:
            raise ProviderError(f"{url} is larger than {_MAX_BYTES} bytes")
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
        "The keys of the identity provider are not available. Retry shortly.",
        headers={"Retry-After": str(max(1, math.ceil(wait)))},
    )


def _parse(document: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The signing keys of a JWKS document. Unsupported keys are skipped."""
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
            logger.warning("skipping an unusable key of the provider: %r", kid[:64])
    if not found:
        raise ProviderError("the JWKS document has no usable key")
    return found


def _fits(key: jwt.PyJWK, algorithm: str) -> bool:
    """Whether key and algorithm are of one family: an RSA key is never an HMAC secret."""
    declared = key._jwk_data.get("alg")  # noqa: SLF001 - PyJWK guesses a missing alg
    return algorithm.startswith(_FAMILIES[key.key_type or ""]) and declared in {None, algorithm}


def _name(value: object) -> str:
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= _MAX_NAME_LENGTH
        or not value.isprintable()
    ):
        raise invalid_token()
    return value


def _scopes(claims: jwts.Claims) -> list[str]:
    value = claims.get("scope", claims.get("scp", ""))
    words = value.split() if isinstance(value, str) else value
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []
