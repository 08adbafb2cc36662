"""What of a container and a pod an AIApi may set, in the words Kubernetes has for it."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, Strict

from aiapi_operator.api.model import Model
from aiapi_operator.api.rules import Rule

OWNED_ENV = (
    "AIAPI_ADMIN_PORT",
    "AIAPI_ADMIN_TOKEN",
    "AIAPI_ADMIN_TOKEN_FILE",
    "AIAPI_DRAIN_DELAY",
    "AIAPI_GRACE",
    "AIAPI_HOST",
    "AIAPI_PORT",
    "AIAPI_SIZE_WAIT",
    "AIAPI_WORKERS",
)
"""Environment of the app's container that the operator sets: it sizes the pod through it."""

OWNED_LABELS = (
    "aiapi.dev/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/name",
)
"""Pod labels that the operator sets: its selectors find the pods by them."""

APP_CONTAINER = "app"

_ObjectName = Annotated[str, Field(max_length=253)]
_DataKey = Annotated[str, Field(max_length=253)]


class KeyReference(Model):
    """One key of a ConfigMap or Secret in the AIApi's namespace."""

    name: _ObjectName
    """Name of the ConfigMap or Secret."""
    key: _DataKey
    """The key whose value is taken."""
    optional: Annotated[bool, Strict()] | None = None
    """Whether the container may start without it."""


class FieldReference(Model):
    """A field of the pod."""

    api_version: Annotated[str, Field(max_length=63)] | None = None
    """Version of the schema that the path is written in, v1 by default."""
    field_path: Annotated[str, Field(max_length=253)]
    """Path of the field, such as status.podIP."""


class ResourceFieldReference(Model):
    """A resource request or limit of a container."""

    container_name: Annotated[str, Field(max_length=63)] | None = None
    """The container, this one by default."""
    resource: Annotated[str, Field(max_length=253)]
    """The resource, such as limits.memory."""
    divisor: Annotated[int, Strict()] | Annotated[str, Field(max_length=32)] | None = None
    """The unit of the value, 1 by default."""


class EnvVarSource(Model):
    """Where a variable's value comes from: exactly one of the references."""

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
            message="valueFrom must have exactly one of configMapKeyRef, secretKeyRef,"
            " fieldRef and resourceFieldRef",
            holds=lambda source: len(source.manifest()) == 1,
        ),
    )


class EnvVar(Model):
    """A variable in the environment of the app's container."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """Its value. $(NAME) stands for the value of a variable defined before."""
    value_from: EnvVarSource | None = None
    """Where its value comes from, instead of value."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!(self.name in {list(OWNED_ENV)})",
            message="this AIAPI_ variable is set by the operator: see workers, scaling and"
            " podTemplate.spec.terminationGracePeriodSeconds for what it stands for",
            holds=lambda variable: variable.name not in OWNED_ENV,
        ),
        Rule(
            cel="!(has(self.value) && has(self.valueFrom))",
            message="a variable has either value or valueFrom: remove one of them",
            holds=lambda variable: variable.value is None or variable.value_from is None,
        ),
    )


class ObjectReference(Model):
    """A ConfigMap or Secret in the AIApi's namespace."""

    name: _ObjectName
    """Name of the ConfigMap or Secret."""
    optional: Annotated[bool, Strict()] | None = None
    """Whether the container may start without it."""


class EnvFromSource(Model):
    """A ConfigMap or Secret all of whose keys become variables."""

    prefix: Annotated[str, Field(max_length=253)] | None = None
    """Put before each key."""
    config_map_ref: ObjectReference | None = None
    """The ConfigMap."""
    secret_ref: ObjectReference | None = None
    """The Secret."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.configMapRef) != has(self.secretRef)",
            message="envFrom must have exactly one of configMapRef and secretRef",
            holds=lambda source: (source.config_map_ref is None) != (source.secret_ref is None),
        ),
    )


class ContainerOverlay(Model):
    """Fields of a container, laid over the generated one of the same name or added to the pod."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of the container; app is the one that serves."""
    image: Annotated[str, Field(max_length=512)] | None = None
    """Image of a container beside the app."""
    command: tuple[str, ...] | None = None
    """Entry point of a container beside the app."""
    args: tuple[str, ...] | None = None
    """Arguments of a container beside the app."""

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
    """Fields of a PodSpec, laid over the generated one."""

    model_config = ConfigDict(extra="allow")

    containers: Annotated[tuple[ContainerOverlay, ...], Field(max_length=32)] = ()
    """Containers by name: app is the one that serves, others are added to the pod."""
    termination_grace_period_seconds: Annotated[int, Strict(), Field(ge=10, le=86_400)] | None = (
        None
    )
    """Seconds from the order to stop until a pod is killed, 30 by default. Raise it where
    answers take long, such as streams of minutes: accepted requests are finished in it."""


Labels = Annotated[
    dict[str, Annotated[str, Field(max_length=63)]],
    Field(max_length=64),
    Rule(
        cel=" && ".join(f"!('{label}' in self)" for label in OWNED_LABELS),
        message=f"the labels {', '.join(OWNED_LABELS)} are set by the operator:"
        " use other keys for yours",
        holds=lambda labels: not any(label in labels for label in OWNED_LABELS),
    ),
]


class PodMetadataOverlay(Model):
    """Labels and annotations that are added to the pods."""

    labels: Labels | None = None
    """Labels for the pods."""
    annotations: Annotated[dict[str, str], Field(max_length=64)] | None = None
    """Annotations for the pods."""


class PodTemplateOverlay(Model):
    """Laid over the generated pod: lists merge by name (containers, volumes, env) or path
    (volumeMounts), null removes a field, and what the operator needs always stays."""

    metadata: PodMetadataOverlay = PodMetadataOverlay()
    """Labels and annotations that are added to the pods."""
    spec: PodSpecOverlay = PodSpecOverlay()
    """PodSpec fields, such as nodeSelector, tolerations, volumes or imagePullSecrets."""
