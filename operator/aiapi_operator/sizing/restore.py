"""What one operator leaves to the next: totals of the savings, and what took long to learn.

The status holds it, so it is as old as its last write. All of it is taken so that the fleet keeps
or grows: totals go on from where they were, what a worker requests falls only after a whole
window, and the target utilisation stays as low as the latency had made it. Demand, service
demand and base latency are measured anew within a minute.
"""

from dataclasses import dataclass
from math import isfinite

from aiapi_operator.sizing.capacity import LEAST_CORRECTION
from aiapi_operator.sizing.learn import LONGEST_LEAD
from aiapi_operator.sizing.state import Size, Spend, State, WorkerUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What an operator left; None or 0 where it left nothing."""

    seconds: float = 0.0
    worker_seconds: float = 0.0
    pod_seconds: float = 0.0
    peak: Size | None = None
    worker_cpu: float = 0.0
    worker_memory: int = 0
    pod_lead: float | None = None
    correction: float = 1.0


def left(state: State) -> Left:
    """What there is to leave."""
    spend = state.spend
    return Left(
        seconds=spend.seconds,
        worker_seconds=spend.worker_seconds,
        pod_seconds=spend.pod_seconds,
        peak=spend.peak,
        worker_cpu=state.use.cpu,
        worker_memory=state.use.memory,
        pod_lead=state.pod_lead,
        correction=state.correction,
    )


def begin(found: Left) -> State:
    """The state that a new operator begins with. What makes no sense counts as not left."""
    return State(
        spend=Spend(
            seconds=_amount(found.seconds),
            worker_seconds=_amount(found.worker_seconds),
            pod_seconds=_amount(found.pod_seconds),
            peak=found.peak if found.peak and found.peak.total > 0 else None,
        ),
        use=WorkerUse(cpu=_amount(found.worker_cpu), memory=int(_amount(found.worker_memory))),
        pod_lead=_lead(found.pod_lead),
        correction=_factor(found.correction),
    )


def _amount(value: float) -> float:
    return value if isfinite(value) and value > 0 else 0.0


def _lead(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 < seconds <= LONGEST_LEAD else None


def _factor(value: float) -> float:
    return value if LEAST_CORRECTION <= value <= 1 else 1.0
