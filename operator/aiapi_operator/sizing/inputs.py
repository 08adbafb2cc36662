"""Inputs of the right-sizer: the user's spec and the samples of the fleet.

Everything here is plain, frozen data. Samples carry monotonic counters, never rates; only the
estimators compute differences. A pod that did not answer is a ``PodUnknown``, never a ``PodSample``
of zeros.

Units: seconds for time, bytes for memory, cores for CPU, unless a name says otherwise.

What a pod reports is a ``msgspec.Struct``: a scrape of 10,000 pods builds one every tick for each,
which takes a fifth of the time of a dataclass and is nothing for the garbage collector to visit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from aiapi_operator.api.schedule import Floor, UpcomingFloor
from aiapi_operator.api.spec import Mode

__all__ = [
    "Bounds",
    "Fleet",
    "Floor",
    "Histogram",
    "LatencyObjective",
    "Mode",
    "ObjectiveKind",
    "PodSample",
    "PodUnknown",
    "Pricing",
    "Refusal",
    "RefusedResize",
    "SizingSpec",
    "ThreadPool",
    "UpcomingFloor",
]


class ObjectiveKind(StrEnum):
    """The time that an objective is for. Shown in the status, so the names are part of the API."""

    LATENCY = "Latency"
    """Until the end of the response."""
    FIRST_BYTE = "FirstByte"
    """Until the first byte of the response body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyObjective:
    """``percentile`` (50..99.9) of the requests within ``threshold`` seconds."""

    percentile: float
    threshold: float
    kind: ObjectiveKind = ObjectiveKind.LATENCY

    @property
    def name(self) -> str:
        """p95, or: first-byte p95."""
        first = "first-byte " if self.kind is ObjectiveKind.FIRST_BYTE else ""
        return f"{first}p{self.percentile:g}"

    @property
    def field(self) -> str:
        """The field of ``spec.objective``."""
        return self.kind[0].lower() + self.kind[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """An inclusive range of counts."""

    min: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """Prices, and the static fleet to compare savings with (0: the peak so far)."""

    cpu_hour: float
    memory_gib_hour: float
    currency: str
    baseline_replicas: int
    baseline_workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingSpec:
    """The spec of one AIApi in plain numbers, with all defaults."""

    objective: LatencyObjective
    """The only objective, or the first of two."""
    workers: Bounds
    replicas: Bounds
    worker_cpu: float
    worker_memory: int
    max_concurrency: int
    """Requests that a worker may have in flight; 0 means no fixed limit."""
    mode: Mode
    interval: float
    workers_down_after: float
    replicas_down_after: float
    max_replicas_per_minute: int
    price: Pricing
    learn_resources: bool = False
    """Whether ``worker_cpu`` and ``worker_memory`` are only initial values."""
    floors: tuple[Floor, ...] = ()
    """Floors of the active schedules."""
    upcoming: tuple[UpcomingFloor, ...] = ()
    """Floors of the other schedules, with the seconds until they start."""
    time_of_day: float | None = None
    """Seconds since 1970, for the daily profile; None disables it."""
    memory_pods: int = 0
    """Pods needed for the memory of requests in flight; set by the right-sizer."""
    other_objectives: tuple[LatencyObjective, ...] = ()
    """Objectives of other kinds that must hold as well."""

    @property
    def objectives(self) -> tuple[LatencyObjective, ...]:
        """All objectives; at most one of each kind."""
        return (self.objective, *self.other_objectives)

    def with_objective(self, objective: LatencyObjective) -> "SizingSpec":
        """With this objective in place of that of its kind, or of all if there is none."""
        if self.objective_for(objective.kind) is None:
            return replace(self, objective=objective, other_objectives=())
        first, *others = (
            objective if each.kind is objective.kind else each for each in self.objectives
        )
        return replace(self, objective=first, other_objectives=tuple(others))

    def objective_for(self, kind: ObjectiveKind) -> LatencyObjective | None:
        """The objective of this kind."""
        return next((each for each in self.objectives if each.kind is kind), None)


class Histogram(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Cumulative counts by bucket since the instance started.

    ``counts`` has one entry more than ``bounds`` (seconds, ascending), for values above the last.
    """

    bounds: tuple[float, ...]
    counts: Sequence[int]
    sum: float


NO_HISTOGRAM = Histogram(bounds=(), counts=(), sum=0.0)


class ThreadPool(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A pool of threads that requests use, summed over all workers of a pod."""

    name: str
    limit: int
    """Threads per worker."""
    busy_seconds: float
    """Busy threads, summed over time. A counter."""
    waiting_seconds: float
    """Calls waiting for a thread, summed over time. A counter."""


class PodRuntime(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The runtime that serves in a pod. A field is empty if the pod does not report it."""

    version: str = ""
    source: str = ""
    """``Injected`` or ``Image``."""
    python: str = ""
    loop: str = ""
    """``uvloop`` or ``asyncio``."""
    http: str = ""
    """``httptools`` or ``h11``."""


class PodSample(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One scrape of one pod. ``time`` uses the same clock as ``now`` in ``decide``."""

    pod: str
    time: float
    instance: str
    """Changes when the pod's PID 1 restarts and all counters start from zero."""
    ready: bool
    workers_wanted: int
    workers_ready: int
    workers_draining: int
    workers_blocked: int
    """Workers whose event loop is blocked for longer than the runtime's limit."""
    blocked_at: str
    """``file:line function`` of the last blocking call, or empty."""
    failure: str
    """Why workers do not start (the last line of the traceback), or empty."""
    # Counters since the instance started.
    succeeded: int
    client_errors: int
    server_errors: int
    cancelled: int
    shed: int
    in_flight_seconds: float
    loop_seconds: float
    worker_seconds: float
    """Wall time of serving workers: the denominator of loop utilization."""
    cpu_seconds: float
    upstream_seconds: float
    latency: Histogram
    # Gauges.
    in_flight: int
    open_connections: int
    accept_queue_depth: int
    rss_bytes: int
    # From the cgroup; older images do not report these.
    cpu_throttled_seconds: float = 0.0
    """Time for which a CPU limit throttled the pod. A counter."""
    cpu_limit_cores: float = 0.0
    """0 if there is no limit or it is unknown."""
    memory_limit_bytes: int = 0
    """0 if there is no limit or it is unknown."""
    # How much of the loop time was work; older images and some kernels do not report these.
    run_queue_seconds: float | None = None
    """Time for which event loops were ready to run and waited for a CPU. A counter."""
    loop_cpu_seconds: float | None = None
    """CPU time of the event loops' threads. A counter."""
    # Other limits of a worker; older images do not report these.
    worker_limit: int = 0
    """Requests that a worker handles concurrently; 0 if unlimited or unknown."""
    threads: tuple[ThreadPool, ...] | None = None
    """The pools that were used. None if the pod does not report them."""
    first_byte: Histogram = NO_HISTOGRAM
    """Times to the first byte of response bodies, counted at the first byte."""
    # Gauges; older images do not report these.
    open_websockets: int = 0
    open_streams: int = 0
    """Responses of which a first part was sent. They are in flight too."""
    idle_seconds: float | None = None
    """Time without a request other than probes and scrapes. None if it is not known."""
    runtime: PodRuntime = PodRuntime()
    uptime: float | None = None
    """Seconds since the instance started; None where it is not reported."""
    longest_wait: int = 0
    """Seconds for which the pod can hold an answer back while it is at rest; 0 if it cannot."""

    @property
    def waited_seconds(self) -> float:
        """``run_queue_seconds``, or 0 where it is not known."""
        return self.run_queue_seconds or 0.0

    @property
    def least_loop_seconds(self) -> float:
        """What loops worked at least: the CPU time they took.

        An older image reports neither that nor their waits: all of its loop time counts as work.
        """
        if self.loop_cpu_seconds is not None:
            return self.loop_cpu_seconds
        return self.loop_seconds if self.run_queue_seconds is None else self.cpu_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PodUnknown:
    """A pod that should have answered and did not."""

    pod: str
    ready: bool
    reason: str


class Refusal(StrEnum):
    """Why a pod does not get the CPU and memory for more workers."""

    DEFERRED = "Deferred"
    """Its node has no room now."""
    INFEASIBLE = "Infeasible"
    """Its node is too small."""
    INVALID = "Invalid"
    """The pod's limits or its QoS class do not allow it."""
    FORBIDDEN = "Forbidden"
    """A quota, an admission rule or missing permissions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedResize:
    """A pod whose resize for more workers was not granted."""

    pod: str
    why: Refusal
    granted: int
    """The workers that it can have."""
    message: str
    """The reason in the cluster's words."""


class Shortage(StrEnum):
    """What the cluster lacks for another pod."""

    QUOTA = "Quota"
    """A ResourceQuota, a LimitRange or an admission rule refuses it."""
    NODES = "Nodes"
    """No node has room for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPods:
    """Pods of the Deployment that the cluster does not run."""

    shortage: Shortage
    message: str
    """The reason, with what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The observed fleet of one AIApi in one tick.

    ``replicas`` is the current spec of the Deployment. ``pods`` has every pod that is not
    terminating. ``refused`` has the pods that cannot have more workers; the others can.
    ``workers`` is the last number ordered per pod according to the status, or 0. It keeps a
    restarted operator from shrinking a fleet that does not answer. ``missing`` is why the cluster
    does not run all ``replicas``, if it says so. ``rested`` is the interval that was planned since
    the last tick, in seconds, where it was longer than the spec's.
    """

    replicas: int
    pods: tuple[PodSample | PodUnknown, ...]
    refused: tuple[RefusedResize, ...] = ()
    missing: MissingPods | None = None
    workers: int = 0
    rested: float = 0.0
