"""Settings of the upstreams."""

import json
import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

Kind = Literal["chat", "embeddings", "other"]
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


class UpstreamConfig(BaseModel):
    """One OpenAI-compatible server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: HttpUrl
    name: Annotated[str, Field(pattern=_NAME)] = ""
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0
    tier: Annotated[int, Field(ge=0, le=9)] = 0
    kinds: frozenset[Kind] = frozenset({"chat", "embeddings", "other"})
    models: dict[str, str] = {}
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    api_key_env: str | None = None
    api_key_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "Authorization"

    @field_validator("url")
    @classmethod
    def _is_a_base(cls, value: HttpUrl) -> HttpUrl:
        for path in ("/chat/completions", "/completions", "/responses", "/embeddings", "/models"):
            if (value.path or "").rstrip("/").endswith(path):
                raise ValueError(f"set the base URL, without {path}")
        return value

    @field_validator("models", mode="before")
    @classmethod
    def _models_by_name(cls, value: object) -> object:
        """A list of models is a mapping of each name to itself."""
        if isinstance(value, list):
            return {str(name): str(name) for name in value}
        return value

    @model_validator(mode="after")
    def _one_key(self) -> "UpstreamConfig":
        given = [self.api_key, self.api_key_file, self.api_key_env]
        if sum(one is not None for one in given) > 1:
            raise ValueError("set only one of api_key, api_key_file and api_key_env")
        try:
            self.key()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"api_key_file: {error}") from error
        return self

    def address(self, path: str, query: str = "") -> str:
        """The URL of a path. A base without a path gets `/v1`; another path is used as it is."""
        base = urlsplit(str(self.url))
        both = "&".join(part for part in (base.query, query) if part)
        below = base.path.rstrip("/") or "/v1"
        return urlunsplit((base.scheme, base.netloc, f"{below}{path}", both, ""))

    def may_serve(self, kind: Kind, model: str) -> bool:
        """Whether it may serve this model. An upstream without a list may serve any."""
        return kind in self.kinds and (not self.models or not model or model in self.models)

    def title(self) -> str:
        """A short name for metrics and errors."""
        return self.name or urlsplit(str(self.url)).netloc.rpartition("@")[2]

    def key(self) -> str | None:
        """The key, from the setting, a file or a variable."""
        if self.api_key_file is not None:
            return self.api_key_file.read_text(encoding="utf-8").strip()
        if self.api_key_env is not None:
            try:
                return os.environ[self.api_key_env]
            except KeyError:
                raise ValueError(f"variable {self.api_key_env} is not set") from None
        return self.api_key.get_secret_value() if self.api_key else None


class ModelPrice(BaseModel):
    """Price of one model per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)] = 0.0


class UpstreamSettings(BaseModel):
    """The upstreams part of the gateway's settings."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    upstreams: Annotated[tuple[UpstreamConfig, ...], NoDecode] = ()
    """OpenAI-compatible servers: comma-separated base URLs, or a JSON list of objects."""
    upstream_api_key: SecretStr | None = None
    """API key for upstreams without a key of their own."""
    upstream_connect_timeout: float = Field(default=5, gt=0)
    """Connect timeout in seconds."""
    upstream_pool_timeout: float = Field(default=10, gt=0)
    """Timeout in seconds to get a connection from the pool, including connecting."""
    upstream_read_timeout: float = Field(default=120, gt=0)
    """Timeout in seconds for the first byte, and between two reads."""
    upstream_total_timeout: float = Field(default=600, gt=0)
    """Timeout in seconds for a complete response, including retries."""
    upstream_connections: int = Field(default=1000, ge=1)
    """Maximum connections of a worker to its upstreams."""
    upstream_retries: int = Field(default=2, ge=0, le=10)
    """Maximum retries per request. 0 disables retries."""
    upstream_retry_ratio: float = Field(default=0.1, ge=0, le=1)
    """Retry budget: retries that a worker may make per request that it serves."""
    upstream_retry_wait: float = Field(default=5, ge=0, le=60)
    """Maximum seconds that a request waits for an upstream that sent Retry-After."""
    upstream_break_after: int = Field(default=5, ge=1)
    """Failures in ten seconds that open the circuit breaker, if they are half of all calls."""
    upstream_break_seconds: float = Field(default=5, gt=0)
    """Seconds that the circuit breaker stays open before a trial call. Doubles up to a minute."""
    upstream_idle_timeout: float = Field(default=4, gt=0, le=3600)
    """Seconds after which an idle connection to an upstream is closed. Many servers close it after
    5 s; a request that is sent at that moment fails."""
    stream_keepalive: float = Field(default=15, ge=0, le=3600)
    """Seconds of silence in a stream after which the caller gets a comment, so that proxies keep
    the connection open. 0 disables comments."""
    upstream_hedge_after: float = Field(default=0, ge=0)
    """Seconds without a response after which a second upstream is called. 0 disables hedging."""
    prices: dict[str, ModelPrice] = {}
    """Prices per million tokens, as JSON: `{"gpt-4o-mini": {"input": 0.15, "output": 0.6}}`."""
    chat_model: str = ""
    """Model for `/v1/answer`. Defaults to the first that an upstream lists, or the local one."""
    embedding_model: str = ""
    """Model for documents. Defaults to the first that an upstream lists, or the local one."""
    max_answer_bytes: int = Field(default=128 * 2**20, ge=1024)
    """Maximum size of a response of an upstream. A longer one is an error."""

    @field_validator("upstreams", mode="before")
    @classmethod
    def _read_upstreams(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            try:
                return json.loads(value)
            except ValueError as error:
                raise ValueError(f"is not JSON: {error}") from None
        return [{"url": part.strip()} for part in value.split(",") if part.strip()]

    @field_validator("upstreams")
    @classmethod
    def _names_differ(cls, value: tuple[UpstreamConfig, ...]) -> tuple[UpstreamConfig, ...]:
        titles = [one.title() for one in value]
        for title in titles:
            if titles.count(title) > 1:
                raise ValueError(f"two upstreams have the name {title}: set a unique name for each")
        return value
