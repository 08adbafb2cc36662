"""The activator's settings: environment variables ``AIAPI_ACTIVATOR_*``, overridden by flags."""

import socket
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from aiapi_operator.activator.limits import Limits
from aiapi_operator.process.listener import ANY
from aiapi_operator.process.settings import LogFormat

_DEFAULTS = Limits()


def _split(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


class Settings(BaseSettings):
    """The settings."""

    model_config = SettingsConfigDict(
        env_prefix="AIAPI_ACTIVATOR_", frozen=True, extra="ignore", populate_by_name=True
    )

    kubeconfig: Path | None = None
    """Path of a kubeconfig; by default KUBECONFIG, the service account, or ~/.kube/config."""
    namespaces: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Namespaces to watch, separated by commas; all by default."""
    host: str = ANY
    admin_port: Annotated[int, Field(ge=0, le=65535)] = 9090
    """Port of /healthz, /readyz, /metrics and /state."""
    held_requests: Annotated[int, Field(ge=1)] = _DEFAULTS.requests
    """Requests of one AIApi that are held at a time."""
    held_bytes: Annotated[int, Field(ge=1)] = _DEFAULTS.body_bytes
    """Body bytes of one AIApi's held requests."""
    hold_seconds: Annotated[float, Field(gt=0)] = _DEFAULTS.seconds
    """Seconds that a request is held."""
    connections: Annotated[int, Field(ge=1)] = _DEFAULTS.connections
    """Open connections of one AIApi."""
    drain_delay: Annotated[float, Field(ge=0)] = 5.0
    """Seconds from failing readiness until no connection is accepted, when the activator ends."""
    grace: Annotated[float, Field(ge=0)] = 300.0
    """Seconds after that for open requests. The pod's terminationGracePeriodSeconds must be
    longer than both together."""
    log_format: LogFormat = LogFormat.TEXT
    log_level: str = "INFO"
    pod_name: str = Field(
        default_factory=socket.gethostname,
        validation_alias=AliasChoices("AIAPI_ACTIVATOR_POD_NAME", "POD_NAME"),
    )
    """The name in answers to marked probes and in /state."""

    @property
    def limits(self) -> Limits:
        """The bounds of one AIApi."""
        return Limits(
            requests=self.held_requests,
            body_bytes=self.held_bytes,
            seconds=self.hold_seconds,
            connections=self.connections,
        )
