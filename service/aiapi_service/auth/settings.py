"""How callers are authenticated, and how hard anybody may try."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from aiapi_service.auth.principal import ALL_SCOPES
from aiapi_service.store.settings import StoreSettings

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]


class AuthSettings(StoreSettings):
    """A part of the gateway's settings. What authentication knows lies in the database."""

    auth: Literal["on", "off"] = "on"
    """``off`` lets everybody do everything. It is said at each start."""
    auth_issuer: str = Field(default="aiapi", min_length=1)
    """``iss`` of the access tokens made here."""
    auth_audience: str = Field(default="aiapi", min_length=1)
    """``aud`` of the access tokens made here."""
    auth_signing_keys_file: Path | None = None
    """Keys that sign access tokens, made by ``aiapi-admin signing-keys rotate``; the same file for
    all pods. Without it and without ``AIAPI_DATABASE_URL`` one is made in ``AIAPI_DATA_DIR``."""
    auth_api_keys_file: Path | None = None
    """API keys from a file instead of the database, as ``aiapi-admin keys make`` writes them."""
    auth_access_seconds: int = Field(default=600, ge=10, le=86400)
    """Life of an access token."""
    auth_refresh_seconds: int = Field(default=14 * 86400, ge=60)
    """Life of a refresh token that is not used."""
    auth_session_seconds: int = Field(default=90 * 86400, ge=60)
    """A log-in ends after so long, however often it is refreshed."""
    auth_refresh_grace: float = Field(default=10, ge=0, le=60)
    """Seconds in which a refresh token may be used once more, for two refreshes that race."""
    auth_cache_seconds: float = Field(default=15, ge=0, le=300)
    """A revoked key or session, or a disabled user, is refused within so long in every worker."""
    auth_hash_threads: int = Field(default=2, ge=1, le=64)
    """Passwords that a worker checks at once; each costs about 0.1 s of a CPU and 64 MiB."""
    auth_hash_queue: int = Field(default=16, ge=0, le=10000)
    """Checks that may wait in a worker; more are refused with 503."""
    auth_account_burst: int = Field(default=10, ge=1)
    """Log-ins that may be tried at once for one account."""
    auth_account_seconds: float = Field(default=30, gt=0)
    """One more is allowed each so many seconds."""
    auth_address_burst: int = Field(default=50, ge=1)
    """Log-ins, and refreshes that fail, from one address (IPv6: one /64) at once."""
    auth_address_seconds: float = Field(default=2, gt=0)
    """One more is allowed each so many seconds."""
    rate_limit: int = Field(default=0, ge=0, le=1_000_000)
    """Requests a minute that one caller may make to the AI routes, over all workers and pods; 0:
    any number."""
    rate_burst: int = Field(default=0, ge=0, le=1_000_000)
    """How many of ``AIAPI_RATE_LIMIT`` may come at once; 0: all."""
    oidc_issuer: str | None = None
    """``iss`` of an OpenID Connect provider whose access tokens are accepted, exactly as it is
    in the tokens."""
    oidc_audience: str | None = None
    """``aud`` that those tokens must have."""
    oidc_jwks_url: str | None = None
    """Where the provider's keys are; found through its discovery document when not set."""
    oidc_algorithms: Annotated[tuple[Algorithm, ...], NoDecode] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )
    """Algorithms that those tokens may have."""
    oidc_tenant_claim: str | None = None
    """Claim that names the tenant; without it each subject is a tenant of its own."""
    oidc_scopes: Annotated[tuple[str, ...], NoDecode] = tuple(sorted(ALL_SCOPES))
    """Scopes that those tokens may have at most."""

    @field_validator("oidc_algorithms", "oidc_scopes", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.replace(",", " ").split() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _burst_fits(self) -> "AuthSettings":
        if self.rate_burst > self.rate_limit:
            raise ValueError("AIAPI_RATE_BURST must not be more than AIAPI_RATE_LIMIT")
        return self

    @model_validator(mode="after")
    def _oidc_is_whole(self) -> "AuthSettings":
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError("AIAPI_OIDC_ISSUER needs AIAPI_OIDC_AUDIENCE: whom the tokens are for")
        if not self.oidc_issuer and (self.oidc_audience or self.oidc_jwks_url):
            raise ValueError("AIAPI_OIDC_AUDIENCE and AIAPI_OIDC_JWKS_URL need AIAPI_OIDC_ISSUER")
        if self.oidc_issuer and self.oidc_issuer == self.auth_issuer:
            raise ValueError("AIAPI_OIDC_ISSUER and AIAPI_AUTH_ISSUER must differ")
        for name in ("oidc_issuer", "oidc_jwks_url"):
            value = getattr(self, name)
            if value and not _keeps_secrets(value):
                raise ValueError(
                    f"AIAPI_{name.upper()} must be an https:// URL (http:// on loopback only)"
                )
        unknown = sorted(set(self.oidc_scopes) - ALL_SCOPES)
        if unknown:
            raise ValueError(f"AIAPI_OIDC_SCOPES: there is no scope {unknown[0]}")
        return self


def _keeps_secrets(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return True
    return parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
