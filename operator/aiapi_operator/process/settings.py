"""The operator's settings: environment variables ``AIAPI_OPERATOR_*``, overridden by flags."""

import os
import secrets
import socket
from collections.abc import Callable
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from aiapi_operator.manifests.mesh import Mesh
from aiapi_operator.manifests.pod_policy import PodTemplatePolicy
from aiapi_operator.process.listener import ANY

VERSION = version("aiapi")
_OWN_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT_PORT = 8080
_CONSOLE_PORT = 8081
MAX_SHARDS = 32


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


class RuntimeDelivery(StrEnum):
    """How the runtime gets into the pods of AIApis."""

    AUTO = "Auto"
    IMAGE_VOLUME = "ImageVolume"
    INIT_CONTAINER = "InitContainer"


class PullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


def _split(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _labels(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.replace(",", " ").split()]
    if bad := [key + equals + text for key, equals, text in pairs if not key or not equals]:
        raise ValueError(f"{bad[0]!r} is not a label; write key=value, separated by commas")
    return {key: text for key, _, text in pairs}


def _not_a_service_link(default: int) -> Callable[[object], object]:
    """Ignore AIAPI_OPERATOR_PORT=tcp://..., which Kubernetes sets for a Service aiapi-operator."""

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
    """The settings."""

    model_config = SettingsConfigDict(
        env_prefix="AIAPI_OPERATOR_", frozen=True, extra="ignore", populate_by_name=True
    )

    kubeconfig: Path | None = None
    """Path of a kubeconfig; by default KUBECONFIG, the service account, or ~/.kube/config."""
    namespaces: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Namespaces to watch, separated by commas; all by default."""
    host: str = ANY
    port: Annotated[
        int, Field(ge=0, le=65535), BeforeValidator(_not_a_service_link(_DEFAULT_PORT))
    ] = _DEFAULT_PORT
    """Port of /healthz, /readyz and /metrics."""
    console: bool = False
    """Serve the console, a read-only page."""
    console_host: str = "127.0.0.1"
    """Address of the console. It has no login: anyone who can connect can read it."""
    console_port: Annotated[
        int, Field(ge=0, le=65535), BeforeValidator(_not_a_service_link(_CONSOLE_PORT))
    ] = _CONSOLE_PORT
    console_allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Host names, besides localhost, that the console accepts."""
    log_format: LogFormat = LogFormat.TEXT
    log_level: str = "INFO"
    leader_election: bool = True
    """Elect one leader among several operators; the others stand by."""
    lease_name: str = "aiapi-operator"
    """Name of the Lease; with shards, of the ring Lease."""
    shards: Annotated[int, Field(ge=1, le=MAX_SHARDS)] = 1
    """Number of shards that share the AIApis."""
    shard: Annotated[int, Field(ge=0)] = 0
    """Number of this operator's shard, from 0."""
    default_image: str = f"ghcr.io/aiapi-dev/service:{VERSION}"
    """Image of an AIApi that sets no image."""
    runtime_image: str = f"ghcr.io/aiapi-dev/runtime:{VERSION}"
    """Image with the runtime, which is injected into images that do not have it."""
    runtime_pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    runtime_delivery: RuntimeDelivery = RuntimeDelivery.AUTO
    """How the runtime gets into a pod. Auto: ImageVolume from Kubernetes 1.36, else
    InitContainer."""
    image_pull_secrets: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Image pull secrets of an AIApi that sets no image or has an injected runtime."""
    mesh: Mesh = Mesh.NONE
    """The service mesh of the cluster, from which the pods' admin port is excluded."""
    metrics_from: Annotated[dict[str, str], NoDecode, BeforeValidator(_labels)] = Field(
        default_factory=dict
    )
    """Labels, key=value,key=value, of namespaces that may scrape the pods of AIApis."""
    admin_tls: bool = True
    """Serve TLS on the admin port of new pods."""
    admin_ca_secret: str = "aiapi-operator-admin-ca"  # noqa: S105 - the name of a Secret
    """Secret in the operator's namespace with the CA of the admin ports."""
    activators: bool = False
    """Whether activators run, so that AIApis may go to zero pods."""
    activator_first_port: Annotated[int, Field(ge=1024, le=65535)] = 20_000
    """Each AIApi that may go to zero gets a port of the activators, from this one on."""
    activator_last_port: Annotated[int, Field(ge=1024, le=65535)] = 29_999
    activator_grace: Annotated[float, Field(ge=0, le=30)] = 15.0
    """Seconds that nodes need to learn that a Service leads to the activators."""
    pod_template_policy: PodTemplatePolicy = PodTemplatePolicy()
    """What the podTemplate of an AIApi may ask for, as JSON."""
    pod_namespace: str = Field(
        default_factory=_own_namespace,
        validation_alias=AliasChoices("AIAPI_OPERATOR_POD_NAMESPACE", "POD_NAMESPACE"),
    )
    """The operator's namespace. It holds Lease and CA, and may reach the pods' admin ports."""
    pod_name: str = Field(
        default_factory=_identity,
        validation_alias=AliasChoices("AIAPI_OPERATOR_POD_NAME", "POD_NAME"),
    )
    """The identity in the Lease: the pod's name, so that a restarted container keeps the Lease."""

    @property
    def own_shard(self) -> int | None:
        """The shard of this operator; None where it handles all AIApis."""
        return self.shard if self.shards > 1 else None

    @model_validator(mode="after")
    def _check_shard(self) -> Self:
        if self.shard >= self.shards:
            raise ValueError(f"shard {self.shard} does not exist: shards are numbered from 0")
        if self.shards > 1 and not self.leader_election:
            raise ValueError("shards need leader election: the Lease shows that a shard is live")
        if self.shards > 1 and self.activators:
            raise ValueError(
                "shards and activators exclude each other: each shard would give out"
                " the same ports of the activators"
            )
        return self
