"""What the right-sizer answers: the fleet wanted now, why, and what to tell people."""

from dataclasses import dataclass
from enum import StrEnum

from aiapi_operator.sizing.state import State


class Binding(StrEnum):
    """What set the number of workers. Shown in status, so names are part of the API."""

    LOOP = "EventLoop"
    CONCURRENCY = "Concurrency"
    THREADS = "Threads"
    MEMORY = "Memory"
    FLOOR = "Floor"
    CEILING = "Ceiling"
    HELD = "Held"
    """Data is missing or the operator has only just started: what runs is kept."""


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
    """A diagnosis: ``type`` and ``reason`` in CamelCase, the message says what to do about it."""

    type: str
    status: bool | None
    """None is Kubernetes' ``Unknown``: there is no data to say either."""
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the fleet carries now. A field is None while there is no data for it."""

    arrivals_per_second: float | None
    completed_per_second: float | None
    in_flight: float | None
    """Mean over the fast window, by the integral of in-flight time, not a gauge."""
    loop_utilization: float | None
    """Busiest pod's loop time over wall time, 0..1."""
    latency: float | None
    """The objective's percentile over the recent window, in seconds."""
    upstream_share: float | None
    """Part of the requests' time that was spent waiting for upstreams, 0..1."""
    shed_per_second: float | None
    threads_utilization: float | None = None
    """Busy threads of those that there are, in the pool that is needed most, 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the load asks for, before guards and limits."""

    workers: int
    binding: Binding
    demand: float | None
    """Arrivals a second expected when new capacity would serve."""
    service_demand: float | None
    """Loop seconds a request costs (c)."""
    target_utilization: float
    """The loop utilisation the plan aims at (rho*)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The fleet wanted now: ``workers`` in each of ``replicas`` pods.

    ``message`` is one sentence with the numbers it hangs on; a decision to hold has one too.
    ``state`` goes into the next call of ``decide``.
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
    """Cores that a worker should request; 0 where the spec's value is meant."""
    worker_memory: int = 0
    """Bytes that a worker should request; 0 where the spec's value is meant."""
