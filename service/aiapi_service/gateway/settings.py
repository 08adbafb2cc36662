"""What the gateway is told by its environment. A bad value is refused with the variable's name."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, HttpUrl, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class SettingsError(ValueError):
    """A variable has a value that cannot be used."""


class Settings(BaseSettings):
    """The gateway's settings, each from ``AIAPI_`` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="AIAPI_", frozen=True)

    upstreams: Annotated[tuple[HttpUrl, ...], NoDecode] = ()
    """Base URLs of OpenAI-compatible servers, up to and without ``/v1``."""
    upstream_api_key: SecretStr | None = None
    upstream_api_key_file: Path | None = None
    upstream_connect_timeout: float = Field(default=5, gt=0)
    upstream_pool_timeout: float = Field(default=10, gt=0)
    """For a free connection, connecting included."""
    upstream_read_timeout: float = Field(default=120, gt=0)
    """For the first byte, and between two pieces of a stream."""
    upstream_total_timeout: float = Field(default=600, gt=0)
    upstream_connections: int = Field(default=1000, ge=1)
    """Connections a worker keeps to its upstreams at most."""
    max_body_bytes: int = Field(default=10 * 2**20, ge=1)

    @field_validator("upstreams", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _one_key(self) -> "Settings":
        if self.upstream_api_key and self.upstream_api_key_file:
            raise ValueError("set AIAPI_UPSTREAM_API_KEY or AIAPI_UPSTREAM_API_KEY_FILE, not both")
        return self

    def api_key(self) -> str | None:
        """The key for the upstreams, from the variable or the file."""
        if self.upstream_api_key_file:
            try:
                return self.upstream_api_key_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"AIAPI_UPSTREAM_API_KEY_FILE: {error}") from error
        return self.upstream_api_key.get_secret_value() if self.upstream_api_key else None


def load() -> Settings:
    """Read the environment, or say which variable is wrong and why, in one line."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(map(_explain, error.errors()))) from None


def _explain(error: object) -> str:
    assert isinstance(error, dict)  # noqa: S101 - narrows pydantic's loosely typed entry
    where = error["loc"]
    return f"AIAPI_{str(where[0]).upper()}: {error['msg']}" if where else str(error["msg"])
