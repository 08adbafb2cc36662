"""The state between two decisions. Learners decide what a checkpoint keeps across a restart.

All of it is frozen and bounded: it does not grow while an operator runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiapi_operator.sizing.inputs import Bounds, ObjectiveKind, PodSample

FAST_WINDOW = 6.0
"""Seconds of the current load. Three ticks of the default interval."""
SLOW_WINDOW = 60.0
"""Seconds of the recent load. At 10 rps its mean is known to within 4 %."""
LONG_WINDOW = 600.0
"""Seconds of what changes with deployments, not with load. Chosen: minutes, so that one strange
minute has little effect."""

PeakWindow = tuple[tuple[float, float], ...]
"""(time, value) with decreasing values, newest last, for a sliding maximum. See peaks.py."""
Column = list[float]
"""One number of each pod. See flows.py."""
Latencies = tuple[tuple[float, ...], Sequence[int]]
"""Bounds and counts of a histogram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A fleet: ``workers`` in each of ``replicas`` pods."""

    workers: int
    replicas: int

    @property
    def total(self) -> int:
        """Workers in the whole fleet."""
        return self.workers * self.replicas

    def within(self, workers: Bounds, replicas: Bounds) -> "Size":
        """The nearest fleet within the bounds."""
        return Size(
            workers=min(workers.max, max(workers.min, self.workers)),
            replicas=min(replicas.max, max(replicas.min, self.replicas)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadUse:
    """One pool of threads in one tick, summed over the pods."""

    name: str
    limit: int
    """Threads per worker."""
    busy: float
    waiting: float
    """Calls waiting for a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The fleet's rates between two ticks: differences of counters, summed over the pods.

    Pods that did not answer are included as the mean of those that did. A pod that is deleted later
    stays included in earlier ticks. Rates are per second.
    """

    time: float
    seconds: float
    arrivals: float
    """Arriving requests, including shed ones."""
    completed: float
    shed: float
    in_flight: float
    loop: float
    """Seconds per second that loops worked: the number of workers whose loop was busy."""
    workers: float
    busiest: float
    """Loop utilization of the busiest pod, 0..1."""
    heaviest: float
    """Loop seconds per second of the ready pods with the most load. See ``windows.uneven``."""
    upstream: float
    """Seconds per second that requests waited for upstreams."""
    uneven: float = 1.0
    """``heaviest`` over the mean of the ready pods."""
    server_errors: float = 0.0
    cancelled: float = 0.0
    retried: float = 0.0
    """Arrivals that are probably retries and not included in ``arrivals``."""
    failing: bool = False
    """Whether so many requests failed that the tick is not used to learn their cost."""
    contended: bool = False
    """Whether workers waited for CPU so long that measured times do not describe the service."""
    cpu: float = 0.0
    """CPU seconds per second."""
    waited: float = 0.0
    """Seconds per second that workers waited for a CPU, summed."""
    waits_known: bool = True
    """Whether all pods report that. Without it the work of their loops is estimated."""
    crowded: tuple[tuple[str, float], ...] = ()
    """The pods whose workers waited most for a CPU, with the share of their time."""
    throttled: float = 0.0
    """Seconds per second that a CPU limit throttled the most throttled pod."""
    bounds: tuple[float, ...]
    counts: Sequence[int]
    """Latencies of this tick alone, by bucket of ``bounds``; empty if unknown or not needed."""
    first_byte: Latencies = ((), ())
    """The same for times to the first byte."""
    worker_limit: int = 0
    """Concurrent requests per worker, as reported by the pods; 0 if they report none."""
    threads: tuple[ThreadUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """A finding with hysteresis: whether it is on, and since when a change is pending."""

    on: bool = False
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaMove:
    """A change of the number of pods that is worth its cost: from ``before`` to ``after``."""

    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedHistogram:
    """The latency counts of the pods as last added. The next tick subtracts them."""

    parts: tuple[Sequence[int], ...] = ()
    counts: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The decision of one call, as input of the next."""

    time: float
    size: Size
    replicas_before: int
    """Pods that were running or ordered before it."""
    need: float | None
    """Workers that the load needed, not rounded; None if unknown."""
    move: ReplicaMove | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Opaque to callers: start with ``State()`` and pass each decision's ``state`` to the next."""

    since: float | None = None
    now: float | None = None
    last: Outcome | None = None
    samples: tuple[PodSample, ...] = ()
    """The last valid sample of each pod."""
    columns: Sequence[Column] = ()
    """Their numbers, or empty if they were not read together."""
    merged: Mapping[ObjectiveKind, MergedHistogram] = field(default_factory=dict)
    ticks: tuple[Tick, ...] = ()
    memory: Mapping[type, Any] = field(default_factory=dict)
    """What each learner has learned, by its kind."""
