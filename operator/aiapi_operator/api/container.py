"""Container and pod fields that an AIApi can set, with the names that Kubernetes uses."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, Strict

from aiapi_operator.api.model import Model
from aiapi_operator.api.rules import Rule

OWNED_ENV = (
    "AIAPI_ADMIN_PORT",
    "AIAPI_ADMIN_TLS_DIR",
    "AIAPI_ADMIN_TOKEN",
    "AIAPI_ADMIN_TOKEN_FILE",
    "AIAPI_DRAIN_DELAY",
    "AIAPI_GRACE",
    "AIAPI_HOST",
    "AIAPI_PORT",
    "AIAPI_PYTHON",
    "AIAPI_SIZE_WAIT",
    "AIAPI_WORKERS",
)
"""Environment variables of the app container that the operator sets."""

OWNED_LABELS = (
    "aiapi.dev/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/name",
)
"""Pod labels that the operator sets: its selectors use them."""

APP_CONTAINER = "app"

_ObjectName = Annotated[str, Field(max_length=253)]
_DataKey = Annotated[str, Field(max_length=253)]


class KeyReference(Model):
    """One key of a ConfigMap or Secret in the AIApi's namespace."""

    name: _ObjectName
    """Name of the ConfigMap or Secret."""
    key: _DataKey
    """Key to select."""
    optional: Annotated[bool, Strict()] | None = None
    """If true, the container starts even when the object or key does not exist."""


class FieldReference(Model):
    """A field of the pod."""

    api_version: Annotated[str, Field(max_length=63)] | None = None
    """Version of the schema that fieldPath refers to. Defaults to v1."""
    field_path: Annotated[str, Field(max_length=253)]
    """Path of the field, such as status.podIP."""


class ResourceFieldReference(Model):
    """A resource request or limit of a container."""

    container_name: Annotated[str, Field(max_length=63)] | None = None
    """Name of the container. Defaults to this container."""
    resource: Annotated[str, Field(max_length=253)]
    """Resource to select, such as limits.memory."""
    divisor: Annotated[int, Strict()] | Annotated[str, Field(max_length=32)] | None = None
    """Unit of the value. Defaults to 1."""


class EnvVarSource(Model):
    """Source of a variable's value. Set exactly one field."""

    config_map_key_ref: KeyReference | None = None
    """A key of a ConfigMap."""
    secret_key_ref: KeyReference | None = None
    """A key of a Secret."""
    field_ref: FieldReference | None = None
    """A field of the pod."""
    resource_field_ref: ResourceFieldReference | None = None
    """A resource request or limit of a container."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.configMapKeyRef), has(self.secretKeyRef), has(self.fieldRef),"
            " has(self.resourceFieldRef)].filter(given, given).size() == 1",
            message="valueFrom must set exactly one of configMapKeyRef, secretKeyRef,"
            " fieldRef and resourceFieldRef",
            holds=lambda source: len(source.manifest()) == 1,
        ),
    )


class EnvVar(Model):
    """An environment variable of the app container."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """Value of the variable. $(NAME) expands to the value of a variable defined earlier."""
    value_from: EnvVarSource | None = None
    """Source of the value. Cannot be combined with value."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!(self.name in {list(OWNED_ENV)})",
            message="this AIAPI_ variable is set by the operator: remove it and use spec.workers,"
            " spec.scaling, spec.runtime or podTemplate.spec.terminationGracePeriodSeconds",
            holds=lambda variable: variable.name not in OWNED_ENV,
        ),
        Rule(
            cel="!(has(self.value) && has(self.valueFrom))",
            message="set either value or valueFrom, not both",
            holds=lambda variable: variable.value is None or variable.value_from is None,
        ),
    )


class ObjectReference(Model):
    """A ConfigMap or Secret in the AIApi's namespace."""

    name: _ObjectName
    """Name of the ConfigMap or Secret."""
    optional: Annotated[bool, Strict()] | None = None
    """If true, the container starts even when the object or key does not exist."""


class EnvFromSource(Model):
    """A ConfigMap or Secret whose keys all become environment variables."""

    prefix: Annotated[str, Field(max_length=253)] | None = None
    """Prefix for each variable name."""
    config_map_ref: ObjectReference | None = None
    """ConfigMap to read."""
    secret_ref: ObjectReference | None = None
    """Secret to read."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.configMapRef) != has(self.secretRef)",
            message="envFrom must set exactly one of configMapRef and secretRef",
            holds=lambda source: (source.config_map_ref is None) != (source.secret_ref is None),
        ),
    )


class ContainerOverlay(Model):
    """Container fields, merged into the container of the same name or added as a sidecar."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of the container. The app container is named app."""
    image: Annotated[str, Field(max_length=512)] | None = None
    """Image of a sidecar. Not allowed for the app container."""
    command: tuple[str, ...] | None = None
    """Entry point of a sidecar. Not allowed for the app container."""
    args: tuple[str, ...] | None = None
    """Arguments of a sidecar. Not allowed for the app container."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.name != '{APP_CONTAINER}'"
            " || !(has(self.image) || has(self.command) || has(self.args))",
            message="image, command and args of the app container come from spec.image and"
            " spec.app: set them there",
            holds=lambda container: (
                container.name != APP_CONTAINER
                or container.image is container.command is container.args is None
            ),
        ),
    )


class PodSpecOverlay(Model):
    """PodSpec fields, merged into the generated PodSpec."""

    model_config = ConfigDict(extra="allow")

    containers: Annotated[tuple[ContainerOverlay, ...], Field(max_length=32)] = ()
    """Containers by name. app changes the app container; other names add sidecars."""
    termination_grace_period_seconds: Annotated[int, Strict(), Field(ge=10, le=86_400)] | None = (
        None
    )
    """Seconds that a pod has to finish accepted requests before it is killed. By default 30, or
    twice the threshold of objective.latency and 5 more if that is longer. Raise it for longer
    responses, such as streams that take minutes."""


Labels = Annotated[
    dict[str, Annotated[str, Field(max_length=63)]],
    Field(max_length=64),
    Rule(
        cel=" && ".join(f"!('{label}' in self)" for label in OWNED_LABELS),
        message=f"the labels {', '.join(OWNED_LABELS)} are set by the operator:"
        " use other label keys",
        holds=lambda labels: not any(label in labels for label in OWNED_LABELS),
    ),
]


class PodMetadataOverlay(Model):
    """Labels and annotations to add to the pods."""

    labels: Labels | None = None
    """Labels to add to the pods."""
    annotations: Annotated[dict[str, str], Field(max_length=64)] | None = None
    """Annotations to add to the pods."""


class PodDefault(StrEnum):
    """A default of the generated pod that can be left out."""

    RUN_AS_USER = "RunAsUser"
    TOPOLOGY_SPREAD = "TopologySpread"
    STARTUP_PROBE = "StartupProbe"
    LIVENESS_PROBE = "LivenessProbe"


class PodTemplateOverlay(Model):
    """Merged into the generated pod. Lists merge by name (containers, volumes, env) or path
    (volumeMounts), and fields that the operator needs are kept. To remove a default, use omit:
    null does it too, but a client-side kubectl apply drops null."""

    omit: Annotated[
        tuple[PodDefault, ...],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Defaults to leave out of the generated pod. RunAsUser: runAsUser and runAsGroup, so that the
    user of the image applies, which must be numeric and not 0 because runAsNonRoot stays.
    TopologySpread: topologySpreadConstraints. StartupProbe, LivenessProbe: that probe of the app
    container."""
    metadata: PodMetadataOverlay = PodMetadataOverlay()
    """Labels and annotations to add to the pods."""
    spec: PodSpecOverlay = PodSpecOverlay()
    """PodSpec fields, such as nodeSelector, tolerations, volumes or imagePullSecrets."""
