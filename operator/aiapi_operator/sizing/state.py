"""What the right-sizer remembers between two decisions. What survives a restart: checkpoint.py.

All of it is frozen and bounded, so that an operator that runs for a year remembers as much as one
that runs for ten minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiapi_operator.sizing.inputs import PodSample

FAST_WINDOW = 6.0
"""Seconds. Three ticks of the default interval: what is happening now."""
SLOW_WINDOW = 60.0
"""Seconds. What has lasted."""

PeakWindow = tuple[tuple[float, float], ...]
"""(time, value), newest last and smallest last: a sliding window's maximum. See peaks.py."""
ParsedSample = tuple[PodSample, tuple[float, ...]]
"""A valid sample, and its numbers in the order in which rates.py reads them."""


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

    Pods that did not answer are included as the mean of those that did. A pod that has left since
    stays in the ticks it was there for. Rates are per second.
    """

    time: float
    seconds: float
    arrivals: float
    """Requests that arrived, shed ones included."""
    completed: float
    shed: float
    in_flight: float
    loop: float
    """Loop seconds per second: the number of workers whose loop was busy."""
    workers: float
    busiest: float
    """Loop utilization of the busiest pod, 0..1."""
    heaviest: float
    """Loop seconds per second of the ready pods with the most to do. See ``windows.uneven``."""
    upstream: float
    """Seconds per second that requests waited for upstreams."""
    uneven: float = 1.0
    """``heaviest`` over the mean of the ready pods."""
    server_errors: float = 0.0
    cancelled: float = 0.0
    retried: float = 0.0
    """Arrivals that were taken for retries and left out of ``arrivals``."""
    failing: bool = False
    """So many requests failed that the tick says nothing about what one costs."""
    contended: bool = False
    """Workers waited for CPU so long that times measured here say little of the service."""
    cpu: float = 0.0
    """CPU seconds per second."""
    waited: float = 0.0
    """Seconds per second that workers waited for a CPU, all together."""
    throttled: float = 0.0
    """Seconds per second for which a CPU limit kept the pod that was hit most from running."""
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """Latencies of this tick alone, by bucket of ``bounds``; empty where they are not known."""
    worker_limit: int = 0
    """Requests that a worker takes at once, by the pods; 0 where they report none."""
    threads: tuple[ThreadUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """A finding with hysteresis: whether it is on, and since when it is about to turn."""

    on: bool = False
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaMove:
    """Another number of pods that is worth a move: from ``before`` to ``after``."""

    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedHistogram:
    """The pods' latency counts as they were added last: the next tick subtracts them."""

    parts: tuple[tuple[int, ...], ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call of ``decide`` decided, as the next one learns from it."""

    time: float
    size: Size
    replicas_before: int
    """Pods that ran or were ordered before."""
    need: float | None
    """Workers that the load needed, not rounded; None where it was not known."""
    move: ReplicaMove | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Opaque to callers: start with ``State()`` and pass each decision's ``state`` to the next."""

    since: float | None = None
    now: float | None = None
    last: Outcome | None = None
    samples: tuple[ParsedSample, ...] = ()
    """The last valid sample of each pod."""
    merged: MergedHistogram = MergedHistogram()
    ticks: tuple[Tick, ...] = ()
    memory: Mapping[type, Any] = field(default_factory=dict)
    """What each learner knows, by its type."""
