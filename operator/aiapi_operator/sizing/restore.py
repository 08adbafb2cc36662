"""The checkpoint that one operator leaves in the status for the next: savings and learned values.

The status holds it, so it is as old as the last status write. All values are used such that the
fleet keeps its size or grows: totals continue, requests of a worker fall only after a full window,
and loops are planned at the learned utilization. Demand is measured again. So are service demand
and base latency, within a minute; until then bursts are sized by the restored values, without
confidence, and the restored calm level identifies a slow upstream.
"""

from dataclasses import dataclass
from math import inf, isfinite

from aiapi_operator.sizing import demand, queueing
from aiapi_operator.sizing.learn import MAX_LEAD
from aiapi_operator.sizing.profile import UNKNOWN, sanitized
from aiapi_operator.sizing.state import (
    BaseLatency,
    Forecasts,
    Profile,
    Queueing,
    ServiceDemand,
    Size,
    State,
    Usage,
    WorkerUse,
)

MAX_SERVICE_DEMAND = 60.0
"""Loop seconds per request; higher values are treated as errors."""
MAX_BASE_LATENCY = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The values that an operator stores; None or 0 means unknown."""

    seconds: float = 0.0
    worker_seconds: float = 0.0
    pod_seconds: float = 0.0
    peak: Size | None = None
    worker_cpu: float = 0.0
    worker_memory: int = 0
    pod_lead: float | None = None
    queueing: float = 0.0
    """q, the queueing factor."""
    service: float = 0.0
    """Loop seconds per request."""
    base: float = 0.0
    """The calm base latency at ``percentile``, in seconds."""
    percentile: float = 0.0
    headroom: float | None = None
    """As a fraction of the forecast."""
    profile: Profile = UNKNOWN


def checkpoint_of(state: State) -> Checkpoint:
    """The checkpoint of a state."""
    usage, base = state.usage, state.base
    return Checkpoint(
        seconds=usage.seconds,
        worker_seconds=usage.worker_seconds,
        pod_seconds=usage.pod_seconds,
        peak=usage.peak,
        worker_cpu=state.use.cpu,
        worker_memory=state.use.memory,
        pod_lead=state.pod_lead,
        queueing=state.queueing.factor if state.queueing.time is not None else 0.0,
        service=state.service.seconds if state.service else 0.0,
        base=base.calm if base else 0.0,
        percentile=base.percentile if base else 0.0,
        headroom=demand.learned_headroom(state.forecasts),
        profile=state.profile,
    )


def initial_state(found: Checkpoint) -> State:
    """The initial state of a new operator. Invalid values are ignored."""
    return State(
        usage=Usage(
            seconds=_amount(found.seconds),
            worker_seconds=_amount(found.worker_seconds),
            pod_seconds=_amount(found.pod_seconds),
            peak=found.peak if found.peak and found.peak.total > 0 else None,
        ),
        use=WorkerUse(cpu=_amount(found.worker_cpu), memory=int(_amount(found.worker_memory))),
        pod_lead=_lead(found.pod_lead),
        queueing=_queueing(found.queueing),
        service=_service(found.service),
        base=_base(found),
        forecasts=_forecasts(found.headroom),
        profile=sanitized(found.profile),
    )


def _amount(value: float) -> float:
    return value if isfinite(value) and value > 0 else 0.0


def _lead(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 < seconds <= MAX_LEAD else None


def _service(seconds: float) -> ServiceDemand | None:
    if not 0 < seconds <= MAX_SERVICE_DEMAND:
        return None
    return ServiceDemand(seconds=seconds, idle=0.0, requests=0, confident=False)


def _base(found: Checkpoint) -> BaseLatency | None:
    if not 0 < found.base <= MAX_BASE_LATENCY:
        return None
    # An infinite time: the calm level changes only from the first measurement on.
    return BaseLatency(percentile=found.percentile, current=found.base, calm=found.base, time=inf)


def _forecasts(headroom: float | None) -> Forecasts:
    """The minimum number of equal shortfalls; measured ones soon outweigh them."""
    if headroom is None or not 0 <= headroom <= demand.MAX_HEADROOM:
        return Forecasts()
    return Forecasts(shortfalls=(headroom,) * demand.MIN_SHORTFALLS)


def _queueing(factor: float) -> Queueing:
    return (
        Queueing(factor=factor)
        if queueing.MIN_FACTOR <= factor <= queueing.MAX_FACTOR
        else Queueing()
    )
