"""What the right-sizer remembers between two decisions. What a restart leaves: restore.py.

All of it is frozen and bounded: tuples are cut to the windows below on every tick, so that
an operator that runs for a year remembers as much as one that runs for ten minutes.
"""

from dataclasses import dataclass

from aiapi_operator.sizing.inputs import PodSample

FAST_WINDOW = 6.0
"""Seconds. Three ticks of the default interval: what is happening now."""
SLOW_WINDOW = 60.0
"""Seconds. What has lasted."""


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
    """Threads in a worker."""
    busy: float
    waiting: float
    """Calls that waited for a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The fleet's rates between two ticks: differences of counters, summed over the pods.

    Pods that did not answer are already counted in, as the mean of those that did. A pod that
    left since stays in the ticks it was there for.
    """

    time: float
    seconds: float
    arrivals: float
    """Requests a second that came, those that were shed included."""
    completed: float
    shed: float
    in_flight: float
    loop: float
    """Loop seconds a second: the number of workers' worth of loop that was busy."""
    workers: float
    busiest: float
    """Loop utilisation of the busiest pod, 0..1."""
    heaviest: float
    """Loop seconds a second of the ready pods that had most to do. See ``windows.uneven``."""
    upstream: float
    """Seconds that requests waited for upstreams, a second."""
    uneven: float = 1.0
    """``heaviest`` over the mean of the ready pods."""
    server_errors: float = 0.0
    cancelled: float = 0.0
    retried: float = 0.0
    """Arrivals that were taken for retries and left out of ``arrivals``."""
    failing: bool = False
    """So many requests failed that it says nothing about what one costs."""
    cpu: float = 0.0
    """CPU seconds a second."""
    throttled: float = 0.0
    """Seconds a second for which the pod that was hit most was kept from running by its limit."""
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """Latencies of this tick alone, by bucket of ``bounds``; empty where they cannot be told."""
    worker_limit: int = 0
    """Requests that a worker takes at once, as the pods say; 0 where they do not."""
    threads: tuple[ThreadUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDemand:
    """What a request costs: ``seconds`` of loop time (c)."""

    seconds: float
    idle: float
    """Loop time a worker spends without any request, 0..1."""
    requests: int
    confident: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLatency:
    """The objective's percentile with the loop's queueing taken off."""

    percentile: float
    """The percentile this is of: an objective that is edited starts this anew."""
    current: float
    """Over the slow window, seconds."""
    calm: float
    """The level it comes back to: falls fast, rises slowly."""
    time: float
    reference: "BaseReference | None" = None
    """What upstreams took at the time; None where that is not known."""
    moved: float = float("-inf")
    """When an upstream was seen to take another time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseReference:
    """When ``base`` was read: the seconds that a request waited for upstreams, and ``apart``, that
    less all its other time."""

    upstream: float
    apart: float
    base: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Queueing:
    """How much longer requests queue for loops than in a queue that each visits once."""

    factor: float = 1.5
    variance: float = 0.04
    """Of the readings, relative to the factor."""
    seconds: float = 20.0
    """Seconds of full load that it was learned from."""
    time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """Forecasts that are not due yet, and how far the due ones fell short (0.1: by 10 %)."""

    pending: tuple[tuple[float, float], ...] = ()
    """(due time, arrivals a second)."""
    shortfalls: tuple[float, ...] = ()
    quantile: float = 0.9
    """Of the shortfalls, the one that headroom is: moves until as many are covered as should be."""
    held: "PeakWindow" = ()
    """The highest forecasts of the time for which workers stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Jumps of demand that come every day. See profile.py."""

    jumps: tuple[float, ...] = ()
    """For each half hour from 00:00 UTC the logarithm of the arrivals in the five minutes after it
    over those in the five before; empty while none is known."""
    seen: int = 0
    """Jumps that were learned in all."""
    off: float = 0.0
    """Squared errors of the jumps that were foretold, summed over about a day."""
    moved: float = 0.0
    """Squared errors that "as it is now" would have made of the same ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSlot:
    """The five minutes that it is: ``number`` since 1970, and what was seen of them."""

    number: int = -2
    seconds: float = 0.0
    requests: float = 0.0
    before: float | None = None
    """Arrivals a second in those before; None where too little of it was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOrder:
    """Pods that were ordered: the rate limit counts them, the lead time is learned from them."""

    time: float
    added: int
    replicas: int


PeakWindow = tuple[tuple[float, float], ...]
"""(time, value), newest last and smallest last: a sliding window's maximum. See peaks.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaMove:
    """Another number of pods that pays by now: in place of ``before``, have ``after``."""

    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveHistory:
    """How many pods the samples are of, and how pods moved before. See replica_moves.py."""

    replicas: int = 0
    """0 before the first sample."""
    patience: float = 1.0
    """Factor on the price of the next move."""
    moved: float | None = None
    up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilizationWindows:
    """What the stabilisation windows hold: needs, and what ran when nothing could be known."""

    workers_need: PeakWindow = ()
    replicas_need: PeakWindow = ()
    workers_floor: PeakWindow = ()
    replicas_floor: PeakWindow = ()
    samples: tuple[tuple[float, float], ...] = ()
    """(time, workers that the fleet had to have), some seconds apart. See replica_moves.py."""
    move: ReplicaMove | None = None
    history: MoveHistory = MoveHistory()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used since this operator started, and the largest fleet it asked for."""

    seconds: float = 0.0
    worker_seconds: float = 0.0
    pod_seconds: float = 0.0
    peak: Size | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedLoop:
    """An event loop that stood still: when it was seen last, where, and in which pod."""

    time: float
    where: str
    pod: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureHistory:
    """What is usual of failures, and the trouble that goes on. See retries.py."""

    usual: float
    """Part of the arrivals that fails at all times."""
    level: float | None = None
    """Arrivals a second before the trouble began; None while there is none."""
    calm_since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """A finding with hysteresis: whether it is on, and since when it is about to turn."""

    on: bool = False
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surplus:
    """What floors hold beyond the need, as seen at ``time``. See surplus.py."""

    time: float
    lean: Size
    """The fleet that the load needs, one pod in reserve."""
    held: Size
    """The fleet that the floors hold."""
    lean_hour: float
    reserve_hour: float
    """What of it is for the pod in reserve."""
    parts: tuple[tuple[str, float], ...]
    """Each floor that costs something, with its price of an hour."""
    latch: Latch = Latch()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerUse:
    """What a worker requests as learned (0: as in the spec), and what it used lately."""

    cpu: float = 0.0
    """Cores."""
    memory: int = 0
    """Bytes."""
    cpu_peaks: PeakWindow = ()
    memory_peaks: PeakWindow = ()
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBin:
    """The least that a worker had resident with about so much in flight."""

    bin: int
    in_flight: float
    rss: float
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMemory:
    """Bytes that a request in flight takes, and a worker without any."""

    bytes: float
    worker: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerMemory:
    """Resident memory by requests in flight. See memory.py."""

    bins: tuple[MemoryBin, ...] = ()
    request: RequestMemory | None = None


ParsedSample = tuple[PodSample, tuple[float, ...]]
"""A sample that can be trusted, and its numbers in the order in which rates.py reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedHistogram:
    """The pods' latency counts as they were added last: the next tick takes them off its own."""

    parts: tuple[tuple[int, ...], ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Opaque to callers: start with ``State()`` and pass each decision's ``state`` to the next."""

    since: float | None = None
    now: float | None = None
    decided: Size | None = None
    samples: tuple[ParsedSample, ...] = ()
    """The last good sample of each pod."""
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
    """Seconds from ordering a pod until it is ready, as seen in this fleet."""
    unknown_since: float | None = None
    blocked: BlockedLoop | None = None
    usage: Usage = Usage()
    failures: FailureHistory | None = None
    use: WorkerUse = WorkerUse()
    memory: WorkerMemory = WorkerMemory()
    memory_pods: PeakWindow = ()
    infeasible: Latch = Latch()
    thread_costs: tuple[tuple[str, float], ...] = ()
    """Thread seconds a request, by pool."""
    surplus: Surplus | None = None
