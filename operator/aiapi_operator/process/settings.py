"""The operator's settings: environment variables ``AIAPI_OPERATOR_*``; flags go before them."""

import os
import secrets
import socket
from collections.abc import Callable
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

VERSION = version("aiapi")
_OWN_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT_PORT = 8080
_CONSOLE_PORT = 8081


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


def _split(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _labels(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.replace(",", " ").split()]
    if bad := [key + equals + text for key, equals, text in pairs if not key or not equals]:
        raise ValueError(f"labels are key=value, separated by commas, unlike {bad[0]!r}")
    return {key: text for key, _, text in pairs}


def _not_a_service_link(default: int) -> Callable[[object], object]:
    """A Service called aiapi-operator makes Kubernetes set AIAPI_OPERATOR_PORT=tcp://... ."""

    def read(value: object) -> object:
        return default if isinstance(value, str) and value.startswith("tcp://") else value

    return read


def _own_namespace() -> str:
    try:
        return _OWN_NAMESPACE_FILE.read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


def _identity() -> str:
    return f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(3)}"


class Settings(BaseSettings):
    """Everything that can be set from outside."""

    model_config = SettingsConfigDict(
        env_prefix="AIAPI_OPERATOR_", frozen=True, extra="ignore", populate_by_name=True
    )

    kubeconfig: Path | None = None
    """Path of a kubeconfig; by default KUBECONFIG, the service account, or ~/.kube/config."""
    namespaces: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Namespaces to look after, separated by commas; all by default."""
    host: str = "0.0.0.0"  # noqa: S104 - probes come from the node, metrics from Prometheus
    port: Annotated[
        int, Field(ge=0, le=65535), BeforeValidator(_not_a_service_link(_DEFAULT_PORT))
    ] = _DEFAULT_PORT
    """Port of /healthz, /readyz and /metrics."""
    console: bool = False
    """Serve the console, a read-only page."""
    console_host: str = "127.0.0.1"
    """Where the console listens. It has no login: who reaches it may read it."""
    console_port: Annotated[
        int, Field(ge=0, le=65535), BeforeValidator(_not_a_service_link(_CONSOLE_PORT))
    ] = _CONSOLE_PORT
    console_allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Names beside localhost under which a browser may ask for the console."""
    log_format: LogFormat = LogFormat.TEXT
    log_level: str = "INFO"
    leader_election: bool = True
    """Several operators at once: one acts, the others stand by."""
    lease_name: str = "aiapi-operator"
    default_image: str = f"ghcr.io/aiapi-dev/service:{VERSION}"
    """Image of an AIApi that names none."""
    metrics_from: Annotated[dict[str, str], NoDecode, BeforeValidator(_labels)] = Field(
        default_factory=dict
    )
    """Labels, key=value,key=value, of the namespaces that may read the metrics of AIApis' pods."""
    pod_namespace: str = Field(
        default_factory=_own_namespace,
        validation_alias=AliasChoices("AIAPI_OPERATOR_POD_NAMESPACE", "POD_NAMESPACE"),
    )
    """The operator's own namespace: the Lease is there, and pods accept it on the admin port."""
    pod_name: str = Field(
        default_factory=_identity,
        validation_alias=AliasChoices("AIAPI_OPERATOR_POD_NAME", "POD_NAME"),
    )
    """Who holds the Lease. A pod's name, so that a restarted container goes on at once."""
