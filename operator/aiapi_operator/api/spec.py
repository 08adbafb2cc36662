"""``spec`` of an AIApi: what the user asks for. Every field has a default; ``{}`` is valid."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from aiapi_operator.api.container import EnvFromSource, EnvVar, PodTemplateOverlay
from aiapi_operator.api.model import Model
from aiapi_operator.api.rules import Rule
from aiapi_operator.api.scalars import (
    AppPath,
    Cpu,
    Currency,
    Duration,
    Image,
    Int,
    Interval,
    Memory,
    PositiveDuration,
    Price,
)
from aiapi_operator.api.schedule import MAX_REPLICAS, MAX_WORKERS, Schedule


class Mode(StrEnum):
    """What the operator does with a decision."""

    AUTO = "Auto"
    RECOMMEND = "Recommend"
    PAUSED = "Paused"


class ResourceSource(StrEnum):
    """Where the CPU and memory come from that a worker requests."""

    LEARNED = "Learned"
    FIXED = "Fixed"


def _ordered(field: str, default_min: int) -> Rule:
    return Rule(
        cel="self.min <= self.max",
        message=f"{field}.min must not be above {field}.max (min is {default_min} where it is"
        f" not given): lower {field}.min or raise {field}.max",
        holds=lambda bounds: bounds.min <= bounds.max,
    )


class Latency(Model):
    """A percentile of the requests is to be answered within the threshold."""

    percentile: Annotated[float, Field(ge=50, le=99.9)] = 95.0
    """The percentile of requests that counts, 50 to 99.9."""
    threshold: PositiveDuration = "800ms"
    """The longest time it may take, such as 800ms or 1.5s."""


class Objective(Model):
    """What the API promises its callers; the fleet is made just large enough for it."""

    latency: Latency = Latency()
    """The latency to keep."""


class Workers(Model):
    """Uvicorn workers in each pod. They change in place, without a restart of the pod."""

    min: Annotated[Int, Field(ge=1, le=MAX_WORKERS)] = 1
    """Fewest workers in a pod."""
    max: Annotated[Int, Field(ge=1, le=MAX_WORKERS)] = 8
    """Most workers in a pod."""
    cpu: Cpu = "500m"
    """CPU that one worker requests, such as 500m. One event loop uses one core at most."""
    memory: Memory = "256Mi"
    """Memory that one worker requests, such as 256Mi."""
    resources: ResourceSource = ResourceSource.LEARNED
    """Learned: cpu and memory are what workers begin with, and what they request follows what
    they use, between a fifth and four times of it; running pods are resized in place. Fixed:
    they always request cpu and memory as given."""
    max_concurrency: Annotated[Int, Field(ge=0, le=1_000_000)] = 0
    """Requests that one worker may have in flight. 0 means that only what is learned limits
    it: the threads that requests hold, the service's own --limit, and the memory that requests
    in flight take, where the pods have a memory limit."""

    rules: ClassVar[tuple[Rule, ...]] = (_ordered("workers", 1),)


class Replicas(Model):
    """Pods of the fleet. The Deployment's own replicas belong to the operator."""

    min: Annotated[Int, Field(ge=1, le=MAX_REPLICAS)] = 2
    """Fewest pods. kubectl scale and external autoscalers set this floor; the operator
    goes above it as the load asks for."""
    max: Annotated[Int, Field(ge=1, le=MAX_REPLICAS)] = 20
    """Most pods."""

    rules: ClassVar[tuple[Rule, ...]] = (_ordered("replicas", 2),)


class ScaleDown(Model):
    """How long a lower need must last before the fleet shrinks."""

    workers_after: Duration = "30s"
    """For workers, which come back within a second or two."""
    replicas_after: Duration = "300s"
    """For pods, which take longer to come back. They may go sooner, when keeping them has cost
    more than the move; but those that stay can carry the highest need of this time with
    workers.max in each."""


class ScaleUp(Model):
    """How fast the fleet may grow."""

    max_replicas_per_minute: Annotated[Int, Field(ge=1, le=MAX_REPLICAS)] = 10
    """Most pods added within a minute. Workers have no such limit."""


class Scaling(Model):
    """When and how the size changes."""

    mode: Mode = Mode.AUTO
    """Auto acts on decisions, Recommend only tells them in the status, Paused decides nothing."""
    interval: Interval = "2s"
    """Time between two decisions, 500ms to 60s."""
    scale_down: ScaleDown = ScaleDown()
    """How long a lower need must last before the fleet shrinks."""
    scale_up: ScaleUp = ScaleUp()
    """How fast the fleet may grow."""
    schedules: Annotated[
        tuple[Schedule, ...],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Times of the week with floors of their own, for load that is known to come. Where several
    hold at once, the highest floor counts."""


class Baseline(Model):
    """The static fleet that savings are compared with."""

    replicas: Annotated[Int, Field(ge=0, le=MAX_REPLICAS)] = 0
    """Its pods; 0 stands for the most that were needed so far."""
    workers: Annotated[Int, Field(ge=0, le=MAX_WORKERS)] = 0
    """Its workers in each pod; 0 stands for the most that were needed so far."""


class Cost(Model):
    """Prices, for the savings in the status and for the choice between workers and pods."""

    cpu_hour: Price = "0.031611"
    """Price of one CPU core for an hour."""
    memory_gib_hour: Annotated[Price, Field(alias="memoryGiBHour")] = "0.003511"
    """Price of one GiB of memory for an hour."""
    currency: Currency = "USD"
    """Currency of the prices."""
    baseline: Baseline = Baseline()
    """The static fleet that savings are compared with."""


class AIApiSpec(Model):
    """The async AI API to run, what it promises, and within which bounds it is sized."""

    image: Image | None = None
    """Container image of the app. The project's own service image by default."""
    app: AppPath | None = None
    """The ASGI app in the image, as module:attribute, such as assistant.main:app. The
    bundled OpenAI-compatible gateway by default."""
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
    """Environment variables of the app, as in a container."""
    env_from: Annotated[
        tuple[EnvFromSource, ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """ConfigMaps and Secrets whose keys become environment variables, as in a container."""
    objective: Objective = Objective()
    """What the API promises its callers; the fleet is made just large enough for it."""
    workers: Workers = Workers()
    """Uvicorn workers in each pod. They change in place, without a restart of the pod."""
    replicas: Replicas = Replicas()
    """Pods of the fleet."""
    scaling: Scaling = Scaling()
    """When and how the size changes."""
    cost: Cost = Cost()
    """Prices, for the savings in the status and for the choice between workers and pods."""
    pod_template: PodTemplateOverlay = PodTemplateOverlay()
    """Metadata and PodSpec fields laid over the generated pod: lists merge by name
    (containers, volumes, env) or path (volumeMounts), null removes a field, and what the
    operator needs always stays."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.scaling.schedules) || self.scaling.schedules.all(one,"
            " one.minReplicas <= self.replicas.max && one.minWorkers <= self.workers.max)",
            message="minReplicas and minWorkers of scaling.schedules must not be above replicas.max"
            " and workers.max: lower them or raise the maximum",
            holds=lambda spec: all(
                one.min_replicas <= spec.replicas.max and one.min_workers <= spec.workers.max
                for one in spec.scaling.schedules
            ),
        ),
    )

    @model_validator(mode="after")
    def _variables_differ(self) -> Self:
        names = [variable.name for variable in self.env]
        if len(names) != len(set(names)):
            raise ValueError("env must not name a variable twice")
        return self
