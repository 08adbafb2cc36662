"""Settings of the database and Redis."""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from aiapi_service.store import local, postgres_url, redis_client


def default_data_dir() -> Path:
    """The data folder of the user, or /var/lib/aiapi for root.

    Root's home folder is not an option, since Postgres runs as another user. A container user
    without a writable home gets a temporary folder, which is lost with the pod.
    """
    preferred = _preferred_data_dir()
    if preferred is not None and _is_creatable(preferred):
        return preferred
    return local.temporary_folder() / f"aiapi-{os.geteuid()}"


def _preferred_data_dir() -> Path | None:
    if os.geteuid() == 0:
        return Path("/var/lib/aiapi")
    if base := os.environ.get("XDG_DATA_HOME"):
        return Path(base) / "aiapi"
    try:
        return Path.home() / ".local" / "share" / "aiapi"
    except RuntimeError:
        return None


def _is_creatable(path: Path) -> bool:
    nearest = next(one for one in (path, *path.parents) if one.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)


class StoreSettings(BaseModel):
    """The database part of the gateway's settings."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    database_url: SecretStr | None = None
    """``postgresql://`` URL of a server with pgvector. Without it `aiapi-serve` runs a local
    Postgres in ``AIAPI_DATA_DIR``, if ``aiapi[local]`` is installed."""
    database_local: Literal["auto", "off"] = "auto"
    """``off`` disables the local Postgres."""
    database_connections: int = Field(default=10, ge=1, le=1000)
    """Maximum database connections per worker."""
    database_connect_timeout: float = Field(default=5, gt=0, le=300)
    """Seconds to open a connection."""
    database_timeout: float = Field(default=5, gt=0, le=300)
    """Seconds to get a connection and run a statement."""
    database_start_wait: float = Field(default=30, ge=0, le=3600)
    """Seconds that a starting worker waits for the database. Then it starts without it, and routes
    that need the database return 503 until it is available."""
    redis_url: SecretStr | None = None
    """``redis://`` or ``rediss://`` URL. Requests are then counted in Redis (see
    ``AIAPI_RATE_LIMIT``)."""
    redis_prefix: str = Field(default="aiapi", pattern=r"^[\w.:-]{1,64}$")
    """Prefix of all keys in Redis. Fleets that share a Redis need different prefixes."""
    data_dir: Path = Field(default_factory=default_data_dir)
    """Folder of the local Postgres, the first API key and the signing keys."""

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not postgres_url.is_postgres_url(value.get_secret_value()):
            raise ValueError(
                "must be a postgresql:// URL; percent-encode special characters in the password"
            )
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not redis_client.is_redis_url(value.get_secret_value()):
            raise ValueError("must be a URL such as redis://:password@host:6379/0")
        return value

    @property
    def is_standalone(self) -> bool:
        """Whether no other pod shares the storage of this one."""
        if self.database_url is None:
            return True
        return self.database_url.get_secret_value() == local.url(self.data_dir)
