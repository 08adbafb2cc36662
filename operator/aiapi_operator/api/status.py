"""``status`` of an AIApi: what was seen, what is needed, what was decided, and why.

Numbers that are not counts are strings with their unit: Kubernetes APIs keep clear of
floats, and people read the status more often than programs do.
"""

from typing import Annotated

from pydantic import Field

from aiapi_operator.api.model import LenientModel

_Text = Annotated[str, Field(max_length=64)]
_Count = Annotated[int, Field(ge=0)]
_Long = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
_Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class LoadStatus(LenientModel):
    """What the fleet carries now. A field is absent while there is no data for it."""

    latency: _Text | None = None
    """Latency at the objective's percentile, such as 412ms."""
    percentile: _Text | None = None
    """The percentile that latency is given at, such as p95."""
    requests_per_second: _Text | None = None
    """Requests that arrive in a second, shed ones included."""
    completed_per_second: _Text | None = None
    """Requests that are answered in a second."""
    in_flight: _Text | None = None
    """Requests in flight, averaged over the last seconds."""
    utilization: _Text | None = None
    """Loop utilisation of the busiest pod: event-loop time over wall time, such as 43%."""
    upstream_share: _Text | None = None
    """Part of the requests' time that was spent waiting for upstreams, such as 91%."""
    threads: _Text | None = None
    """Busy threads of those that there are, such as 88%; where requests need threads."""
    shed_per_second: _Text | None = None
    """Requests refused in a second because the pods were full."""


class NeedStatus(LenientModel):
    """What the load asks for, before limits and stabilisation."""

    workers: _Count | None = None
    """Workers needed in the whole fleet."""
    binding: _Text | None = None
    """What sets that number, such as EventLoop, Threads, Concurrency, Memory or Floor."""
    demand_per_second: _Text | None = None
    """Requests a second expected by the time new capacity would serve."""
    service_demand: _Text | None = None
    """Event-loop time that a request costs, such as 12ms."""
    target_utilization: _Text | None = None
    """Loop utilisation that is aimed at, such as 62%."""


class DecisionStatus(LenientModel):
    """The last decision. A decision that changed nothing has its reason, too."""

    workers: _Count | None = None
    """Workers wanted in each pod."""
    replicas: _Count | None = None
    """Pods wanted."""
    reason: _Text | None = None
    """Why, in one word, such as ScaledUp or Steady."""
    message: Annotated[str, Field(max_length=1024)] | None = None
    """Why, in one sentence with the numbers it hangs on."""
    binding: _Text | None = None
    """What sets the size, such as EventLoop, Threads, Concurrency, Memory or Floor."""
    time: _Time | None = None
    """When it was taken."""


class SavingsStatus(LenientModel):
    """What right-sizing saves against the static baseline."""

    percent: _Text | None = None
    """Part of the baseline's cost that is saved, such as 64%."""
    cost_per_hour: _Text | None = None
    """What the fleet costs in an hour, at the spec's prices."""
    baseline_per_hour: _Text | None = None
    """What the baseline would cost in an hour."""
    currency: _Text | None = None
    """Currency of the costs."""
    baseline_workers: _Count | None = None
    """Workers in each of the baseline's pods."""
    baseline_replicas: _Count | None = None
    """The baseline's pods."""
    observed_seconds: _Long | None = None
    """Seconds that were observed so far. With this and the four fields that follow the next
    operator goes on to count; they are told once an hour, and whenever the status is written."""
    worker_seconds: _Long | None = None
    """Seconds that workers ran in that time, all of them together."""
    pod_seconds: _Long | None = None
    """Seconds that pods ran in that time, all of them together."""
    peak_workers: _Count | None = None
    """Workers in each pod of the dearest fleet that was needed in that time."""
    peak_replicas: _Count | None = None
    """Pods of the dearest fleet that was needed in that time."""


class DailyProfileStatus(LenientModel):
    """Jumps of the demand that come at the same time every day."""

    jumps: Annotated[str, Field(max_length=256)] | None = None
    """For each half hour from 00:00 UTC the natural logarithm, in hundredths, of the requests in
    the five minutes after it over those in the five before: 139 is four times as many."""
    seen: _Count | None = None
    """Half hours that this was learned from."""
    errors: _Text | None = None
    """Squared errors of what was foretold, of about the last day."""
    errors_without: _Text | None = None
    """Squared errors that foretelling no jump would have made. Jumps are expected while these are
    more."""


class LearnedStatus(LenientModel):
    """What was learned of this service. The next operator begins with it."""

    worker_cpu: _Text | None = None
    """CPU that one worker requests, such as 620m."""
    worker_memory: _Text | None = None
    """Memory that one worker requests, such as 320Mi."""
    request_memory: _Text | None = None
    """Memory that a request in flight takes, such as 48Ki."""
    pod_start: _Text | None = None
    """How long a pod takes from its order until it is ready, such as 8.4s."""
    queueing_factor: _Text | None = None
    """How much longer requests wait for loops than if each came once, such as 1.46."""
    base_latency: _Text | None = None
    """Latency at the objective's percentile that the loop has no part in, such as 380ms."""
    headroom: _Text | None = None
    """What is added to each forecast for its error, such as 6%."""
    profile: DailyProfileStatus | None = None
    """Jumps of the demand that come at the same time every day."""


class ConditionStatus(LenientModel):
    """One aspect of the AIApi's state; its message says what to do about it."""

    type: Annotated[str, Field(max_length=316)]
    """The aspect, such as Ready or DependencyBound."""
    status: Annotated[str, Field(json_schema_extra={"enum": ["True", "False", "Unknown"]})]
    """True, False or Unknown."""
    reason: Annotated[str, Field(max_length=1024)]
    """Why, in one word."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, and the way out."""
    last_transition_time: _Time
    """When the status last changed."""
    observed_generation: Annotated[int, Field(json_schema_extra={"format": "int64"})] | None = None
    """The generation of the spec that the condition speaks about."""


class AIApiStatus(LenientModel):
    """What the operator saw and did last."""

    observed_generation: Annotated[int, Field(json_schema_extra={"format": "int64"})] | None = None
    """The generation of the spec that the operator saw last."""
    selector: Annotated[str, Field(max_length=512)] | None = None
    """Label selector of the pods, for the scale subresource."""
    replicas: _Count | None = None
    """Pods that exist."""
    ready_replicas: _Count | None = None
    """Pods that serve."""
    workers: _Count | None = None
    """Workers wanted in each pod."""
    load: LoadStatus | None = None
    """What the fleet carries now."""
    need: NeedStatus | None = None
    """What the load asks for, before limits and stabilisation."""
    decision: DecisionStatus | None = None
    """The last decision and why it was taken."""
    savings: SavingsStatus | None = None
    """What right-sizing saves against the static baseline."""
    learned: LearnedStatus | None = None
    """What was learned of this service. The next operator begins with it."""
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
    """Aspects of the AIApi's state, diagnoses included."""
