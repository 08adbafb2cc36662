"""``status`` of an AIApi: load, need, last decision, savings and conditions.

Numbers that are not counts are strings with a unit: Kubernetes APIs avoid floats, and the status
is read mostly by people.
"""

from typing import Annotated

from pydantic import Field

from aiapi_operator.api.model import LenientModel

_Text = Annotated[str, Field(max_length=64)]
_Count = Annotated[int, Field(ge=0)]
_Long = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
_Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class ObjectiveStatus(LenientModel):
    """The objective that is closest to being missed, for its share of the threshold."""

    type: _Text | None = None
    """Latency or FirstByte."""
    percentile: _Text | None = None
    """Percentile of the objective, such as p95."""
    threshold: _Text | None = None
    """Threshold of the objective, such as 800ms."""
    measured: _Text | None = None
    """Latency or time to the first byte at that percentile, such as 412ms. Absent while there is
    no data for it."""


class LoadStatus(LenientModel):
    """Current load. A field is absent while there is no data for it."""

    latency: _Text | None = None
    """Latency at the percentile of the objective, such as 412ms, if latency is an objective."""
    percentile: _Text | None = None
    """Percentile of the latency, such as p95."""
    first_byte: _Text | None = None
    """Time to the first byte at the percentile of the objective, such as 210ms, if firstByte is an
    objective."""
    first_byte_percentile: _Text | None = None
    """Percentile of the time to the first byte, such as p95."""
    requests_per_second: _Text | None = None
    """Arriving requests per second, including shed requests."""
    completed_per_second: _Text | None = None
    """Completed requests per second."""
    in_flight: _Text | None = None
    """Requests in flight, averaged over the last 6 seconds."""
    utilization: _Text | None = None
    """Event-loop utilization of the busiest pod: loop time over wall time, such as 43%."""
    upstream_share: _Text | None = None
    """Share of the request time spent waiting for upstreams, such as 91%."""
    threads: _Text | None = None
    """Share of threads that are busy, such as 88%, if requests need threads."""
    shed_per_second: _Text | None = None
    """Requests per second rejected because the pods were full."""
    failing: _Text | None = None
    """Share of the requests of the last minute that failed, such as 4.2%: server errors, shed
    requests, and requests that clients cancelled while event loops were busy."""


class NeedStatus(LenientModel):
    """Workers that the load needs, before limits and stabilization."""

    workers: _Count | None = None
    """Number of workers needed in the whole fleet."""
    binding: _Text | None = None
    """Resource or limit that sets the need, such as EventLoop, Threads, Concurrency, Memory or
    Floor."""
    demand_per_second: _Text | None = None
    """Requests per second expected when new capacity is ready."""
    service_demand: _Text | None = None
    """Event-loop time per request, such as 12ms."""
    target_utilization: _Text | None = None
    """Target event-loop utilization, such as 62%."""


class DecisionStatus(LenientModel):
    """Last decision. Decisions that change nothing have a reason, too."""

    workers: _Count | None = None
    """Desired number of workers per pod."""
    replicas: _Count | None = None
    """Desired number of pods."""
    reason: _Text | None = None
    """Reason in CamelCase, such as ScaledUp or Steady."""
    message: Annotated[str, Field(max_length=1024)] | None = None
    """Explanation of the decision in one sentence, with the numbers it is based on."""
    binding: _Text | None = None
    """Resource or limit that sets the size, such as EventLoop, Threads, Concurrency, Memory or
    Floor."""
    time: _Time | None = None
    """Time of the decision."""


class SavingsStatus(LenientModel):
    """Savings compared with the static baseline."""

    percent: _Text | None = None
    """Share of the cost of the baseline that is saved, such as 64%. Absent before an hour was
    observed, and while withheld is set."""
    withheld: _Text | None = None
    """Why there is no percent: ObjectiveMissed or RequestsFailing."""
    cost_per_hour: _Text | None = None
    """Cost of the fleet per hour, at the prices of the spec."""
    baseline_per_hour: _Text | None = None
    """Cost of the baseline per hour."""
    currency: _Text | None = None
    """Currency of the costs."""
    baseline_workers: _Count | None = None
    """Workers per pod of the baseline."""
    baseline_replicas: _Count | None = None
    """Pods of the baseline."""
    observed_seconds: _Long | None = None
    """Seconds observed so far. A restarted operator continues from this and the five fields
    below. They are written at least once an hour, and more often in the first hours."""
    worker_seconds: _Long | None = None
    """Total worker seconds in that time."""
    pod_seconds: _Long | None = None
    """Total pod seconds in that time."""
    missed_seconds: _Long | None = None
    """Seconds of that time in which the objective was missed or requests failed."""
    peak_workers: _Count | None = None
    """Workers per pod of the fleet for the busiest minute of answered requests."""
    peak_replicas: _Count | None = None
    """Pods of the fleet for the busiest minute of answered requests."""


class DailyProfileStatus(LenientModel):
    """Jumps of the demand that occur at the same time every day."""

    jumps: Annotated[str, Field(max_length=256)] | None = None
    """For each half hour from 00:00 UTC, the natural logarithm, in hundredths, of the requests in
    the five minutes after it over those in the five minutes before: 139 is four times as many."""
    seen: _Count | None = None
    """Number of half hours observed."""
    errors: _Text | None = None
    """Sum of squared errors of the predicted jumps over about the last day."""
    errors_without: _Text | None = None
    """Sum of squared errors of predicting no jump. Jumps are predicted while this is higher than
    errors."""


class LearnedStatus(LenientModel):
    """Learned properties of this service. A restarted operator continues from them."""

    worker_cpu: _Text | None = None
    """CPU request of one worker, such as 620m."""
    worker_memory: _Text | None = None
    """Memory request of one worker, such as 320Mi."""
    request_memory: _Text | None = None
    """Memory per request in flight, such as 48Ki."""
    pod_start: _Text | None = None
    """Time from creating a pod until it is ready, such as 8.4s."""
    queueing_factor: _Text | None = None
    """Queueing time for event loops relative to the queueing model, such as 1.46."""
    base_latency: _Text | None = None
    """Latency at the percentile of the objective without queueing for the loop, such as 380ms."""
    base_first_byte: _Text | None = None
    """Time to the first byte at the percentile of the objective without queueing for the loop,
    such as 190ms."""
    profile: DailyProfileStatus | None = None
    """Jumps of the demand that occur at the same time every day."""


class RuntimeStatus(LenientModel):
    """The runtime in most of the pods."""

    version: _Text | None = None
    """Version of aiapi-runtime, such as 0.1.0."""
    source: _Text | None = None
    """Injected or Image."""
    python: _Text | None = None
    """Version of the interpreter that runs the app, such as 3.11.7."""
    loop: _Text | None = None
    """Event loop: uvloop, or asyncio where the runtime has no uvloop for the interpreter. asyncio
    takes more CPU per request."""
    http: _Text | None = None
    """HTTP parser: httptools, or h11 where the runtime has no httptools for the interpreter. h11
    takes more CPU per request."""


NO_ACTIVATOR = "no activator is ready"
NO_PORT = "ports of the activators are taken"
"""Why an AIApi does not go to zero, as parts of the message in ``status.activation``."""


class ActivationStatus(LenientModel):
    """Whether pods serve, or activators hold requests until pods do. Present if replicas.min is
    0."""

    phase: _Text | None = None
    """Serving, Leaving (activators are about to take over), Asleep (no pod runs) or Waking (pods
    start)."""
    since: _Time | None = None
    """Time at which the phase began."""
    message: Annotated[str, Field(max_length=1024)] | None = None
    """Why the fleet is in this phase, and what would end it."""
    port: _Count | None = None
    """Port of the activators for this AIApi."""
    wake_replicas: _Count | None = None
    """Pods that the first request starts: learned from earlier wake-ups at this hour of the day."""
    pod_concurrency: _Count | None = None
    """Held requests for which one pod is started."""
    hourly: Annotated[str, Field(max_length=256)] | None = None
    """Pods that were needed after a wake-up, for each hour of the day from 00:00 UTC; - where
    there was none."""
    asleep_seconds: _Long | None = None
    """Total time without a pod. In mode Recommend: the time without a pod that replicas.min 0
    would have saved."""


class ConditionStatus(LenientModel):
    """One aspect of the state of the AIApi. The message includes what to do."""

    type: Annotated[str, Field(max_length=316)]
    """Type of the condition, such as Ready or DependencyBound."""
    status: Annotated[str, Field(json_schema_extra={"enum": ["True", "False", "Unknown"]})]
    """True, False or Unknown."""
    reason: Annotated[str, Field(max_length=1024)]
    """Reason in CamelCase."""
    message: Annotated[str, Field(max_length=32768)]
    """Explanation and what to do."""
    last_transition_time: _Time
    """Time at which the status last changed."""
    observed_generation: Annotated[int, Field(json_schema_extra={"format": "int64"})] | None = None
    """Generation of the spec that the condition is based on."""


class AIApiStatus(LenientModel):
    """Observed state of the AIApi. Written by the operator."""

    observed_generation: Annotated[int, Field(json_schema_extra={"format": "int64"})] | None = None
    """Generation of the spec that the operator last reconciled."""
    selector: Annotated[str, Field(max_length=512)] | None = None
    """Label selector of the pods, for the scale subresource."""
    replicas: _Count | None = None
    """Number of pods."""
    ready_replicas: _Count | None = None
    """Number of ready pods."""
    workers: _Count | None = None
    """Desired number of workers per pod."""
    shard: _Count | None = None
    """Shard of the operator that wrote this status. Absent where one operator handles all AIApis.
    The label aiapi.dev/shard names the owner."""
    objective: ObjectiveStatus | None = None
    """The objective that is closest to being missed, for its share of the threshold."""
    load: LoadStatus | None = None
    """Current load."""
    need: NeedStatus | None = None
    """Workers that the load needs, before limits and stabilization."""
    decision: DecisionStatus | None = None
    """Last decision and its reason."""
    savings: SavingsStatus | None = None
    """Savings compared with the static baseline."""
    learned: LearnedStatus | None = None
    """Learned properties of this service. A restarted operator continues from them."""
    runtime: RuntimeStatus | None = None
    """The runtime in most of the pods. Absent while no pod reports it."""
    activation: ActivationStatus | None = None
    """Whether pods serve, or activators hold requests until pods do. Present if replicas.min is
    0."""
    conditions: Annotated[
        tuple[ConditionStatus, ...],
        Field(
            max_length=32,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        ),
    ] = ()
    """Conditions, including diagnoses."""
