"""What the right-sizer is told: the user's user_spec and what was seen of the fleet.

Everything here is plain, frozen data. Samples carry monotonic counters, never rates: a
rate is a difference of two samples, and only the estimators take differences. A pod that
did not answer is a ``PodUnknown``, never a ``PodSample`` full of zeros.

Units: seconds for time, bytes for memory, cores for CPU, unless a name says otherwise.
"""

from dataclasses import dataclass

from aiapi_operator.api.schedule import Floor, UpcomingFloor
from aiapi_operator.api.spec import Mode

__all__ = [
    "Bounds",
    "Fleet",
    "Floor",
    "Histogram",
    "LatencyObjective",
    "Mode",
    "PodSample",
    "PodUnknown",
    "Pricing",
    "SizingSpec",
    "ThreadPool",
    "UpcomingFloor",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyObjective:
    """The latency asked for: ``percentile`` (50..99.9) of requests within ``threshold`` seconds."""

    percentile: float
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """An inclusive range of counts."""

    min: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What compute costs, and the static fleet to compare savings with (0: the peak seen)."""

    cpu_hour: float
    memory_gib_hour: float
    currency: str
    baseline_replicas: int
    baseline_workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingSpec:
    """One AIApi's user_spec as the right-sizer reads them (defaults already filled in)."""

    objective: LatencyObjective
    workers: Bounds
    replicas: Bounds
    worker_cpu: float
    worker_memory: int
    max_concurrency: int
    """Requests a worker may have in flight; 0 means: learn it."""
    mode: Mode
    interval: float
    workers_down_after: float
    replicas_down_after: float
    max_replicas_per_minute: int
    price: Pricing
    learn_resources: bool = False
    """Whether ``worker_cpu`` and ``worker_memory`` are only what is begun with."""
    floors: tuple[Floor, ...] = ()
    """Floors of the schedules that hold now."""
    upcoming: tuple[UpcomingFloor, ...] = ()
    """Floors of the other schedules, with the seconds until they hold."""
    time_of_day: float | None = None
    """Seconds since 1970, for the daily profile. Without it there is none."""
    memory_pods: int = 0
    """Pods that the memory of requests in flight asks for; the right-sizer sets it itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of observations by upper bound, cumulative over time, not over buckets.

    ``counts`` has one entry more than ``bounds`` (seconds, ascending): what lies above the last.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadPool:
    """A pool of threads that requests need, over all workers of a pod."""

    name: str
    limit: int
    """Threads in each worker."""
    busy_seconds: float
    """Threads that were busy, summed over time. A counter."""
    waiting_seconds: float
    """Calls that waited for a thread, summed over time. A counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSample:
    """One scrape of one pod. ``time`` is on the same clock as ``now`` in ``decide``."""

    pod: str
    time: float
    instance: str
    """Changes when the pod's PID 1 starts anew, and with it all counters."""
    ready: bool
    workers_wanted: int
    workers_ready: int
    workers_draining: int
    workers_blocked: int
    """Workers whose event loop has stood still for longer than the runtime's bound."""
    blocked_at: str
    """``file:line function`` of the blocking call seen last, or empty."""
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
    """Wall time for which workers were there to serve: the denominator of loop utilisation."""
    cpu_seconds: float
    upstream_seconds: float
    latency: Histogram
    loop_lag: Histogram
    # Gauges.
    in_flight: int
    open_connections: int
    accept_queue_depth: int
    rss_bytes: int
    # What the cgroup says; pods of an older image do not.
    cpu_throttled_seconds: float = 0.0
    """Time for which a CPU limit kept the pod from running. A counter."""
    cpu_limit_cores: float = 0.0
    """0 where there is no limit, or none is known."""
    memory_limit_bytes: int = 0
    """0 where there is no limit, or none is known."""
    # What else limits a worker; pods of an older image do not say.
    worker_limit: int = 0
    """Requests that a worker takes at once; 0 where there is no limit, or none is known."""
    threads: tuple[ThreadPool, ...] | None = None
    """Pools that were used. None where the pod does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodUnknown:
    """A pod that should have answered and did not."""

    pod: str
    ready: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All that was seen of one AIApi's fleet in one tick.

    ``replicas`` is what the Deployment asks for now. ``pods`` has every pod that is not
    terminating. ``resize_deferred`` counts pods whose in-place resize waits for the node.
    ``workers`` is what was last ordered for each pod as the cluster remembers it (the
    status); 0 where nothing remembers. It keeps a restarted operator from shrinking a
    fleet that does not answer.
    """

    replicas: int
    pods: tuple[PodSample | PodUnknown, ...]
    resize_deferred: int = 0
    workers: int = 0
