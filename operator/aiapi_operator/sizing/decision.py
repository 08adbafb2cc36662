"""The result of the right-sizer: the desired fleet, the reasons, and what to report."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.state import State


class Binding(StrEnum):
    """What set the number of workers. Shown in the status, so the names are part of the API."""

    LOOP = "EventLoop"
    CONCURRENCY = "Concurrency"
    THREADS = "Threads"
    MEMORY = "Memory"
    FLOOR = "Floor"
    CEILING = "Ceiling"
    HELD = "Held"
    """Data is missing or the operator has just started: the running fleet is kept."""


class Verdict(StrEnum):
    """The machine-readable reason of a decision (CamelCase, as in Kubernetes conditions)."""

    SCALED_UP = "ScaledUp"
    SCALED_DOWN = "ScaledDown"
    REBALANCED = "Rebalanced"
    STEADY = "Steady"
    STABILIZING = "Stabilizing"
    HOLDING = "HoldingOnMissingMetrics"
    WARMING_UP = "WarmingUp"
    LIMITED = "Limited"
    PAUSED = "Paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A diagnosis: ``type`` and ``reason`` in CamelCase; the message includes what to do."""

    type: str
    status: bool | None
    """None means ``Unknown``: there is no data."""
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The current load. A field is None while there is no data for it."""

    arrivals_per_second: float | None
    completed_per_second: float | None
    in_flight: float | None
    """Mean over the fast window, from the integral of in-flight time."""
    loop_utilization: float | None
    """Loop time over wall time of the busiest pod, 0..1."""
    latency: float | None
    """The objective's percentile over the recent window, in seconds; None where latency is not an
    objective."""
    upstream_share: float | None
    """Share of the request time spent waiting for upstreams, 0..1."""
    shed_per_second: float | None
    threads_utilization: float | None = None
    """Share of busy threads in the most needed pool, 0..1."""
    first_byte: float | None = None
    """The same as ``latency`` for the time to the first byte."""
    failing: float | None = None
    """Share of the requests of the last minute that failed, 0..1."""

    def measured(self, kind: ObjectiveKind) -> float | None:
        """The percentile of an objective of this kind."""
        return self.first_byte if kind is ObjectiveKind.FIRST_BYTE else self.latency

    def nearest(self, objectives: Sequence[LatencyObjective]) -> LatencyObjective:
        """The objective that is closest to being missed, for its share of the threshold."""
        return max(objectives, key=lambda each: (self.measured(each.kind) or 0.0) / each.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The workers that the load needs, before guards and limits."""

    workers: int
    binding: Binding
    demand: float | None
    """Arrivals per second expected when new capacity is ready."""
    service_demand: float | None
    """Loop seconds per request (c)."""
    target_utilization: float
    """The planned loop utilization (rho*)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The desired fleet: ``workers`` in each of ``replicas`` pods.

    ``message`` is one sentence with the numbers behind the decision, also for decisions that change
    nothing. Pass ``state`` to the next call of ``decide``.
    """

    workers: int
    replicas: int
    verdict: Verdict
    message: str
    need: Need
    load: Load
    conditions: tuple[Condition, ...]
    state: State
    worker_cpu: float = 0.0
    """CPU request of a worker in cores; 0 means the value of the spec."""
    worker_memory: int = 0
    """Memory request of a worker in bytes; 0 means the value of the spec."""
