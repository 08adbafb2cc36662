"""``spec`` of an AIApi. Every field has a default; ``{}`` is valid."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from aiapi_operator.api.container import EnvFromSource, EnvVar, PodTemplateOverlay
from aiapi_operator.api.duration import parse_duration
from aiapi_operator.api.model import Model
from aiapi_operator.api.rules import Rule
from aiapi_operator.api.runtime import Runtime, RuntimeSource
from aiapi_operator.api.scalars import (
    AppPath,
    Cpu,
    Currency,
    Duration,
    Image,
    Int,
    Interval,
    Memory,
    PathPattern,
    Percentile,
    PositiveDuration,
    Price,
    ToZeroAfter,
)
from aiapi_operator.api.schedule import MAX_REPLICAS, MAX_WORKERS, Schedule
from aiapi_operator.api.strategy import Strategy


class Mode(StrEnum):
    """What the operator does with a decision."""

    AUTO = "Auto"
    RECOMMEND = "Recommend"
    PAUSED = "Paused"


class ResourceSource(StrEnum):
    """How the CPU and memory requests of a worker are chosen."""

    LEARNED = "Learned"
    FIXED = "Fixed"


def _ordered(field: str, default_min: int, default_max: int) -> Rule:
    return Rule(
        cel="self.min <= self.max",
        message=f"{field}.min must not exceed {field}.max ({field}.min defaults to {default_min},"
        f" {field}.max defaults to {default_max}): lower {field}.min or raise {field}.max",
        holds=lambda bounds: bounds.min <= bounds.max,
    )


class Latency(Model):
    """Latency objective: the given percentile of requests completes within the threshold."""

    percentile: Percentile = 95.0
    """Percentile of the request latency, 50 to 99.9."""
    threshold: PositiveDuration = "800ms"
    """Maximum latency at that percentile, such as 800ms or 1.5s."""


class FirstByte(Model):
    """First-byte objective: the given percentile of responses begins within the threshold."""

    percentile: Percentile = 95.0
    """Percentile of the time to the first byte, 50 to 99.9."""
    threshold: PositiveDuration = "800ms"
    """Maximum time to the first byte at that percentile, such as 800ms or 1.5s."""


def _is_redundant(objective: "Objective") -> bool:
    latency, first = objective.latency, objective.first_byte
    if latency is None or first is None or first.percentile > latency.percentile:
        return False
    return parse_duration(first.threshold) >= parse_duration(latency.threshold)


class Objective(Model):
    """Service level objective. The operator keeps the fleet just large enough to meet it. If it
    has both latency and firstByte, both must hold. If it has neither, latency applies with its
    defaults."""

    latency: Latency | None = None
    """Objective for the time to the end of the response. Not for streams, whose duration depends
    on their length: use firstByte."""
    first_byte: FirstByte | None = None
    """Objective for the time to the first byte of the response body, for streamed responses."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.latency) || !has(self.firstByte)"
            " || self.firstByte.percentile > self.latency.percentile"
            " || duration(self.firstByte.threshold) < duration(self.latency.threshold)",
            message="firstByte.threshold must be below latency.threshold unless its percentile is"
            " higher, because a response begins before it ends: lower firstByte.threshold or"
            " remove firstByte",
            holds=lambda objective: not _is_redundant(objective),
        ),
    )

    @property
    def effective(self) -> "Objective":
        """The objective with the default latency if it has neither latency nor firstByte."""
        return self if self.latency or self.first_byte else Objective(latency=Latency())


class Workers(Model):
    """Uvicorn workers in each pod. The number changes in place, without restarting the pod."""

    min: Annotated[Int, Field(ge=1, le=MAX_WORKERS)] = 1
    """Minimum number of workers per pod."""
    max: Annotated[Int, Field(ge=1, le=MAX_WORKERS)] = 8
    """Maximum number of workers per pod."""
    cpu: Cpu = "500m"
    """CPU request of one worker, such as 500m. One event loop uses at most one core."""
    memory: Memory = "256Mi"
    """Memory request of one worker, such as 256Mi."""
    resources: ResourceSource = ResourceSource.LEARNED
    """How cpu and memory are used. Learned: they are initial values, and the requests then follow
    the measured use, within a fifth to four times the initial values. Running pods are resized in
    place. Fixed: workers always request cpu and memory as given."""
    max_concurrency: Annotated[Int, Field(ge=0, le=1_000_000)] = 0
    """Maximum number of requests in flight per worker that the operator plans for. 0 means no
    fixed limit: the operator uses the limits it learns, such as threads and memory, and the
    service's own --limit."""

    rules: ClassVar[tuple[Rule, ...]] = (_ordered("workers", 1, 8),)


class Replicas(Model):
    """Number of pods. The operator sets the replicas of the Deployment within these bounds."""

    min: Annotated[Int, Field(ge=0, le=MAX_REPLICAS)] = 2
    """Minimum number of pods. kubectl scale and external autoscalers set this field; the
    operator adds pods above it as the load requires. With 0, no pod runs while nobody sends
    requests: see scaling.toZeroAfter."""
    max: Annotated[Int, Field(ge=1, le=MAX_REPLICAS)] = 20
    """Maximum number of pods."""

    rules: ClassVar[tuple[Rule, ...]] = (_ordered("replicas", 2, 20),)


class ScaleDown(Model):
    """How long a lower need must last before the fleet scales down."""

    workers_after: Duration = "30s"
    """Time that a lower need must last before workers are removed, such as 30s."""
    replicas_after: Duration = "300s"
    """Window for removing pods, such as 300s: the remaining pods, with workers.max in each, must
    be able to carry the highest need of the window. Pods are removed once the saving exceeds the
    cost of moving, which may be sooner."""


class ScaleUp(Model):
    """How fast the fleet may scale up."""

    max_replicas_per_minute: Annotated[Int, Field(ge=1, le=MAX_REPLICAS)] = 10
    """Maximum number of pods added per minute. Adding workers is not limited."""


class Idle(Model):
    """Which requests do not count as use when replicas.min is 0."""

    ignore_paths: Annotated[
        tuple[PathPattern, ...],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Paths of requests that neither wake the fleet nor keep it awake, such as /internal/status;
    a trailing * matches any rest. Probes, metric scrapes and common health checks never count.
    A change replaces the pods."""


class Scaling(Model):
    """When and how the fleet is resized."""

    mode: Mode = Mode.AUTO
    """Auto applies decisions. Recommend only reports them in the status. Paused keeps the fleet as
    it is."""
    interval: Interval = "2s"
    """Time between two decisions, 500ms to 60s."""
    scale_down: ScaleDown = ScaleDown()
    """How long a lower need must last before the fleet scales down."""
    scale_up: ScaleUp = ScaleUp()
    """How fast the fleet may scale up."""
    to_zero_after: ToZeroAfter = "5m"
    """Time without requests after which the last pods stop if replicas.min is 0, 30s to 24h. A
    fleet that is woken often waits up to three times as long. The next request starts pods and
    waits for them."""
    idle: Idle = Idle()
    """Which requests do not count as use when replicas.min is 0."""
    schedules: Annotated[
        tuple[Schedule, ...],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Times of the week with a higher minimum, for load that you expect. If several schedules
    are active, the highest minimum applies."""


class Baseline(Model):
    """Static fleet that savings are compared with."""

    replicas: Annotated[Int, Field(ge=0, le=MAX_REPLICAS)] = 0
    """Number of pods. 0 means the highest number needed so far."""
    workers: Annotated[Int, Field(ge=0, le=MAX_WORKERS)] = 0
    """Number of workers per pod. 0 means the highest number needed so far."""


class Cost(Model):
    """Prices, used to choose between workers and pods and to compute savings."""

    cpu_hour: Price = "0.031611"
    """Price of one CPU core per hour."""
    memory_gib_hour: Annotated[Price, Field(alias="memoryGiBHour")] = "0.003511"
    """Price of one GiB of memory per hour."""
    currency: Currency = "USD"
    """Currency of the prices, as a three-letter code such as USD."""
    baseline: Baseline = Baseline()
    """Static fleet that savings are compared with."""


class AIApiSpec(Model):
    """The app to run, its objective, and the bounds within which the fleet is sized."""

    image: Image | None = None
    """Container image of the app. Defaults to the project's service image."""
    app: AppPath | None = None
    """ASGI app in the image, as module:attribute, such as assistant.main:app. Defaults to the
    bundled OpenAI-compatible gateway, which only the project's image contains."""
    runtime: Runtime = Runtime()
    """How the runtime, which measures the app and runs its workers, gets into the pods."""
    env: Annotated[
        tuple[EnvVar, ...],
        Field(
            max_length=256,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
    ] = ()
    """Environment variables of the app container."""
    env_from: Annotated[
        tuple[EnvFromSource, ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """ConfigMaps and Secrets whose keys become environment variables of the app container."""
    objective: Objective = Objective()
    """Service level objective. The operator keeps the fleet just large enough to meet it. If it
    has both latency and firstByte, both must hold. If it has neither, latency applies with its
    defaults."""
    workers: Workers = Workers()
    """Uvicorn workers in each pod. The number changes in place, without restarting the pod."""
    replicas: Replicas = Replicas()
    """Number of pods."""
    scaling: Scaling = Scaling()
    """When and how the fleet is resized."""
    cost: Cost = Cost()
    """Prices, used to choose between workers and pods and to compute savings."""
    strategy: Strategy = Strategy()
    """How a change of the pod template replaces the pods."""
    pod_template: PodTemplateOverlay = PodTemplateOverlay()
    """Metadata and PodSpec fields to merge into the generated pod. Lists merge by name
    (containers, volumes, env) or path (volumeMounts), and fields that the operator needs are kept.
    To remove a default, use omit: null does it too, but a client-side kubectl apply drops null."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.scaling.schedules) || self.scaling.schedules.all(one,"
            " (!has(one.minReplicas) || one.minReplicas <= self.replicas.max)"
            " && (!has(one.minWorkers) || one.minWorkers <= self.workers.max))",
            message="minReplicas and minWorkers of scaling.schedules must not exceed replicas.max"
            " and workers.max: lower them or raise the maximum",
            holds=lambda spec: all(
                one.min_replicas <= spec.replicas.max and one.min_workers <= spec.workers.max
                for one in spec.scaling.schedules
            ),
        ),
        Rule(
            cel="!has(self.runtime) || self.runtime.source != 'Injected' || has(self.app)",
            message="runtime.source Injected requires app: set app to the ASGI app in the image,"
            " such as assistant.main:app",
            holds=lambda spec: (
                spec.runtime.source is not RuntimeSource.INJECTED or spec.app is not None
            ),
        ),
    )

    @model_validator(mode="after")
    def _require_unique_variables(self) -> Self:
        names = [variable.name for variable in self.env]
        if len(names) != len(set(names)):
            raise ValueError("env must not contain a variable twice: remove the duplicate")
        return self
