"""Where the database is, and how long anybody waits for it."""

import os
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from aiapi_service.store import local, postgres_url, redis_client


def default_data_dir() -> Path:
    """The user's data folder, or the system's for root, whose home Postgres could not read.

    A container's user often has no home, or none that can be written to: then it is a folder
    beside other temporary files, and lasts as long as the pod.
    """
    wanted = _usual_data_dir()
    if wanted is not None and _can_be_made(wanted):
        return wanted
    return Path(tempfile.gettempdir()) / f"aiapi-{os.geteuid()}"


def _usual_data_dir() -> Path | None:
    if os.geteuid() == 0:
        return Path("/var/lib/aiapi")
    if base := os.environ.get("XDG_DATA_HOME"):
        return Path(base) / "aiapi"
    try:
        return Path.home() / ".local" / "share" / "aiapi"
    except RuntimeError:
        return None


def _can_be_made(path: Path) -> bool:
    nearest = next(one for one in (path, *path.parents) if one.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)


class StoreSettings(BaseModel):
    """A part of the gateway's settings."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    database_url: SecretStr | None = None
    """A ``postgresql://`` URL of a server with pgvector. Without it `aiapi-serve` runs a Postgres
    of the pod's own in ``AIAPI_DATA_DIR``, where one is installed (``aiapi[local]``)."""
    database_local: Literal["auto", "off"] = "auto"
    """``off``: no Postgres of the pod's own."""
    database_connections: int = Field(default=10, ge=1, le=1000)
    """Connections of a worker at most."""
    database_connect_timeout: float = Field(default=5, gt=0, le=300)
    """Seconds to connect."""
    database_timeout: float = Field(default=5, gt=0, le=300)
    """Seconds for a free connection and a statement together."""
    database_start_wait: float = Field(default=30, ge=0, le=3600)
    """Seconds that a starting worker waits for the database. Then it starts without: what needs
    the database is answered 503 until it is there."""
    redis_url: SecretStr | None = None
    """A ``redis://`` or ``rediss://`` URL: the requests of callers are then counted there (see
    ``AIAPI_RATE_LIMIT``)."""
    redis_prefix: str = Field(default="aiapi", pattern=r"^[\w.:-]{1,64}$")
    """Begins the names of all keys in Redis; one of its own for each fleet that shares a Redis."""
    data_dir: Path = Field(default_factory=default_data_dir)
    """Folder of the pod's own Postgres, first API key and signing keys."""

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
    def alone(self) -> bool:
        """Whether no other pod shares what this one stores."""
        if self.database_url is None:
            return True
        return self.database_url.get_secret_value() == local.url(self.data_dir)
