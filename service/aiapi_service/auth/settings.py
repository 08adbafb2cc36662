"""Settings of authentication, login throttling and rate limits."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from aiapi_service.auth.principal import ALL_SCOPES, DEFAULT_SCOPES
from aiapi_service.store.settings import StoreSettings

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]


class AuthSettings(StoreSettings):
    """The authentication part of the gateway's settings."""

    auth: Literal["on", "off"] = "on"
    """``off`` gives every caller all scopes. Logs a warning at each start."""
    auth_issuer: str = Field(default="aiapi", min_length=1)
    """``iss`` of the access tokens issued by the gateway."""
    auth_audience: str = Field(default="aiapi", min_length=1)
    """``aud`` of the access tokens issued by the gateway."""
    auth_signing_keys_file: Path | None = None
    """File with the keys that sign access tokens, written by ``aiapi-admin signing-keys rotate``.
    All pods need the same file. Without it and without ``AIAPI_DATABASE_URL`` a key is generated in
    ``AIAPI_DATA_DIR``."""
    auth_api_keys_file: Path | None = None
    """File with API keys, written by ``aiapi-admin keys make``, for pods without a database."""
    auth_access_seconds: int = Field(default=600, ge=10, le=86400)
    """Lifetime of an access token in seconds."""
    auth_refresh_seconds: int = Field(default=14 * 86400, ge=60)
    """Lifetime of an unused refresh token in seconds."""
    auth_session_seconds: int = Field(default=90 * 86400, ge=60)
    """Maximum lifetime of a login session in seconds, however often it is refreshed."""
    auth_refresh_grace: float = Field(default=10, ge=0, le=60)
    """Seconds in which a refresh token may be used a second time, for concurrent refreshes."""
    auth_cache_seconds: float = Field(default=15, ge=0, le=300)
    """Maximum seconds until every worker refuses a revoked key or session, or a disabled user."""
    auth_hash_threads: int = Field(default=2, ge=1, le=64)
    """Concurrent password checks of a worker. Each costs about 0.1 s of CPU and 64 MiB."""
    auth_hash_queue: int = Field(default=16, ge=0, le=10000)
    """Password checks that may wait in a worker. Further ones get 503."""
    auth_account_burst: int = Field(default=10, ge=1)
    """Burst of login attempts for one account."""
    auth_account_seconds: float = Field(default=30, gt=0)
    """Seconds until one more login attempt for the account is allowed."""
    auth_address_burst: int = Field(default=50, ge=1)
    """Burst of login attempts and failed refreshes from one address (IPv6: one /64)."""
    auth_address_seconds: float = Field(default=2, gt=0)
    """Seconds until one more attempt from the address is allowed."""
    rate_limit: int = Field(default=0, ge=0, le=1_000_000)
    """Requests per minute that one caller may make to the AI routes, across all workers and pods.
    0 means no limit."""
    rate_burst: int = Field(default=0, ge=0, le=1_000_000)
    """Maximum burst within ``AIAPI_RATE_LIMIT``. 0 means the whole limit."""
    tokens_per_minute: int = Field(default=0, ge=0, le=1_000_000_000)
    """Tokens per minute that one caller may use, across all workers and pods. 0 means no limit."""
    tokens_per_day: int = Field(default=0, ge=0, le=100_000_000_000)
    """Tokens per day that one caller may use, across all workers and pods. 0 means no limit."""
    oidc_issuer: str | None = None
    """``iss`` of an OpenID Connect provider whose access tokens are accepted, exactly as in the
    tokens."""
    oidc_audience: str | None = None
    """Required ``aud`` of the provider's tokens."""
    oidc_jwks_url: str | None = None
    """URL of the provider's keys. Defaults to the one in its discovery document."""
    oidc_algorithms: Annotated[tuple[Algorithm, ...], NoDecode] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )
    """Allowed algorithms of the provider's tokens."""
    oidc_tenant_claim: str | None = None
    """Claim with the tenant. Without it each subject is its own tenant."""
    oidc_scopes: Annotated[tuple[str, ...], NoDecode] = tuple(sorted(DEFAULT_SCOPES))
    """Scopes that the provider's tokens may grant."""

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
            raise ValueError("AIAPI_OIDC_ISSUER requires AIAPI_OIDC_AUDIENCE")
        if not self.oidc_issuer and (self.oidc_audience or self.oidc_jwks_url):
            raise ValueError(
                "AIAPI_OIDC_AUDIENCE and AIAPI_OIDC_JWKS_URL require AIAPI_OIDC_ISSUER"
            )
        if self.oidc_issuer and self.oidc_issuer == self.auth_issuer:
            raise ValueError("AIAPI_OIDC_ISSUER and AIAPI_AUTH_ISSUER must differ")
        for name in ("oidc_issuer", "oidc_jwks_url"):
            value = getattr(self, name)
            if value and not _is_secure_url(value):
                raise ValueError(
                    f"AIAPI_{name.upper()} must be an https:// URL (http:// on loopback only)"
                )
        unknown = sorted(set(self.oidc_scopes) - ALL_SCOPES)
        if unknown:
            raise ValueError(f"AIAPI_OIDC_SCOPES: unknown scope {unknown[0]}")
        return self


def _is_secure_url(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return True
    return parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
