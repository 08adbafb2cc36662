"""State of the right-sizer between two decisions. See restore.py for what survives a restart.

All of it is frozen and bounded: tuples are cut to the windows below on every tick, so the memory
does not grow over time.
"""

from dataclasses import dataclass

from aiapi_operator.sizing.inputs import PodSample

FAST_WINDOW = 6.0
"""Seconds. Three ticks of the default interval: the current load."""
SLOW_WINDOW = 60.0
"""Seconds. The recent load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A fleet: ``workers`` in each of ``replicas`` pods."""

    workers: int
    replicas: int

    @property
    def total(self) -> int:
        """Workers in the whole fleet."""
        return self.workers * self.replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadUse:
    """One pool of threads in one tick, all pods together."""

    name: str
    limit: int
    """Threads per worker."""
    busy: float
    waiting: float
    """Calls waiting for a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The fleet's rates between two ticks: differences of counters, summed over the pods.

    Pods that did not answer are included as the mean of those that did. A pod that has left remains
    in the ticks in which it ran.
    """

    time: float
    seconds: float
    arrivals: float
    """Arriving requests per second, including shed requests."""
    completed: float
    shed: float
    in_flight: float
    loop: float
    """Loop seconds per second, all workers together."""
    workers: float
    busiest: float
    """Loop utilization of the busiest pod, 0..1."""
    heaviest: float
    """Loop seconds per second of the ready pods with the highest load. See ``windows.uneven``."""
    upstream: float
    """Seconds per second that requests waited for upstreams."""
    uneven: float = 1.0
    """``heaviest`` over the mean of the ready pods."""
    server_errors: float = 0.0
    cancelled: float = 0.0
    retried: float = 0.0
    """Arrivals that are treated as retries and excluded from ``arrivals``."""
    failing: bool = False
    """So many requests failed that the tick is not used for the cost of a request."""
    cpu: float = 0.0
    """CPU seconds per second."""
    throttled: float = 0.0
    """Seconds per second that the most throttled pod was throttled by its CPU limit."""
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """Latencies of this tick alone, by bucket of ``bounds``; empty if unknown."""
    worker_limit: int = 0
    """Concurrent requests per worker as reported by the pods; 0 if they do not report it."""
    threads: tuple[ThreadUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDemand:
    """The cost of a request: ``seconds`` of loop time (c)."""

    seconds: float
    idle: float
    """Loop time of a worker without requests, 0..1."""
    requests: int
    confident: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLatency:
    """The objective's percentile without queueing for the loop."""

    percentile: float
    """The percentile it was measured at; a changed objective starts over."""
    current: float
    """Over the slow window, in seconds."""
    calm: float
    """The level it returns to: falls fast, rises slowly."""
    time: float
    reference: "BaseReference | None" = None
    """The upstream time at the measurement; None if unknown."""
    moved: float = float("-inf")
    """When the upstream time last changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseReference:
    """When ``base`` was measured: the upstream seconds per request, and ``apart``, the excess of
    that over all its other time."""

    upstream: float
    apart: float
    base: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Queueing:
    """The queueing time for loops relative to a queue that each request visits once."""

    factor: float = 1.5
    variance: float = 0.04
    """Variance of the readings, relative to the factor."""
    seconds: float = 20.0
    """Seconds of full load that it was learned from."""
    time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """Forecasts that are not due yet, and the shortfalls of the due ones (0.1: 10 %)."""

    pending: tuple[tuple[float, float], ...] = ()
    """(due time, arrivals a second)."""
    shortfalls: tuple[float, ...] = ()
    quantile: float = 0.9
    """The quantile of the shortfalls used as headroom; adapts until enough are covered."""
    held: "PeakWindow" = ()
    """The highest forecasts while their workers are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Daily jumps of demand. See profile.py."""

    jumps: tuple[float, ...] = ()
    """For each half hour from 00:00 UTC, the logarithm of the arrivals in the five minutes after it
    over those in the five minutes before; empty while unknown."""
    seen: int = 0
    """Number of jumps learned."""
    off: float = 0.0
    """Sum of squared errors of the predicted jumps over about a day."""
    moved: float = 0.0
    """Sum of squared errors of predicting no change for the same jumps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSlot:
    """The current five minutes: ``number`` since 1970, and the samples in them."""

    number: int = -2
    seconds: float = 0.0
    requests: float = 0.0
    before: float | None = None
    """Arrivals per second in the five minutes before; None if too few samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOrder:
    """Ordered pods: for the rate limit and for learning the lead time."""

    time: float
    added: int
    replicas: int


PeakWindow = tuple[tuple[float, float], ...]
"""(time, value), newest and smallest last: the maximum of a sliding window. See peaks.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaMove:
    """Another number of pods that saves more than the move costs: from ``before`` to ``after``."""

    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveHistory:
    """The number of pods that the samples belong to, and past moves. See replica_moves.py."""

    replicas: int = 0
    """0 before the first sample."""
    patience: float = 1.0
    """Factor on the price of the next move."""
    moved: float | None = None
    up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilizationWindows:
    """Needs in the stabilization windows, and running sizes while the need was unknown."""

    workers_need: PeakWindow = ()
    replicas_need: PeakWindow = ()
    workers_floor: PeakWindow = ()
    replicas_floor: PeakWindow = ()
    samples: tuple[tuple[float, float], ...] = ()
    """(time, workers that the fleet needed), some seconds apart. See replica_moves.py."""
    move: ReplicaMove | None = None
    history: MoveHistory = MoveHistory()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resources used since observation began, and the most expensive fleet."""

    seconds: float = 0.0
    worker_seconds: float = 0.0
    pod_seconds: float = 0.0
    peak: Size | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedLoop:
    """A blocked event loop: when it was last seen, where, and in which pod."""

    time: float
    where: str
    pod: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureHistory:
    """The usual share of failures, and the current incident. See retries.py."""

    usual: float
    """Share of the arrivals that usually fails."""
    level: float | None = None
    """Arrivals per second before the incident; None if there is none."""
    calm_since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """A finding with hysteresis: whether it is on, and since when a change is pending."""

    on: bool = False
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surplus:
    """The cost of floors beyond the need, at ``time``. See surplus.py."""

    time: float
    lean: Size
    """The fleet that the load needs, with a spare pod."""
    held: Size
    """The fleet that the floors require."""
    lean_hour: float
    reserve_hour: float
    """The hourly cost of the spare pod."""
    parts: tuple[tuple[str, float], ...]
    """Each floor that adds cost, with its hourly cost."""
    latch: Latch = Latch()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerUse:
    """The learned requests of a worker (0: as in the spec), and its recent use."""

    cpu: float = 0.0
    """Cores."""
    memory: int = 0
    """Bytes."""
    cpu_peaks: PeakWindow = ()
    memory_peaks: PeakWindow = ()
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBin:
    """The minimum resident memory of a worker at about this number of requests in flight."""

    bin: int
    in_flight: float
    rss: float
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMemory:
    """Bytes per request in flight, and bytes of a worker without requests."""

    bytes: float
    worker: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerMemory:
    """Resident memory by requests in flight. See memory.py."""

    bins: tuple[MemoryBin, ...] = ()
    request: RequestMemory | None = None


ParsedSample = tuple[PodSample, tuple[float, ...]]
"""A usable sample, and its numbers in the order in which rates.py reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedHistogram:
    """The pods' merged latency counts of the last tick; the next tick subtracts them."""

    parts: tuple[tuple[int, ...], ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Opaque to callers: start with ``State()`` and pass each decision's ``state`` to the next."""

    since: float | None = None
    now: float | None = None
    decided: Size | None = None
    samples: tuple[ParsedSample, ...] = ()
    """The last usable sample of each pod."""
    merged: MergedHistogram = MergedHistogram()
    ticks: tuple[Tick, ...] = ()
    service: ServiceDemand | None = None
    base: BaseLatency | None = None
    queueing: Queueing = Queueing()
    forecasts: Forecasts = Forecasts()
    profile: Profile = Profile()
    slot: ProfileSlot = ProfileSlot()
    recent: StabilizationWindows = StabilizationWindows()
    orders: tuple[PodOrder, ...] = ()
    awaited: PodOrder | None = None
    """The order whose pods are not all ready yet."""
    pod_lead: float | None = None
    """Seconds from ordering a pod until it is ready, as measured in this fleet."""
    unknown_since: float | None = None
    blocked: BlockedLoop | None = None
    usage: Usage = Usage()
    failures: FailureHistory | None = None
    use: WorkerUse = WorkerUse()
    memory: WorkerMemory = WorkerMemory()
    memory_pods: PeakWindow = ()
    infeasible: Latch = Latch()
    thread_costs: tuple[tuple[str, float], ...] = ()
    """Thread seconds per request, by pool."""
    surplus: Surplus | None = None
