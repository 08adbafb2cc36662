"""The console's history of each AIApi: in memory, with an upper bound.

An AIApi has three ring buffers (15 minutes in steps of 2 s, 3 hours in steps of 20 s, a day in
steps of 3 minutes) and its last hundred events. A restart of the operator clears it; Prometheus
keeps more.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum, auto
from math import nan

from aiapi_operator.api.summary import HEALTHY_WHEN_TRUE
from aiapi_operator.console.ring_buffer import RingBuffer
from aiapi_operator.engine.cache import Key
from aiapi_operator.engine.ports import ObservedFleet
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.decision import Condition, Decision, Load, Need, Verdict
from aiapi_operator.sizing.inputs import Mode, SizingSpec
from aiapi_operator.sizing.learners.worker_use import WorkerUse, priced
from aiapi_operator.sizing.savings import Savings
from aiapi_operator.sizing.state import Size

MAX_AIAPIS = 1000
"""AIApis with a history. Of any others the console shows the present only."""
MAX_EVENTS = 100
"""Per AIApi."""
MAX_MESSAGE = 400
"""Characters of a message that are kept."""
_ROUTINE = {
    verdict.value
    for verdict in (
        Verdict.STEADY,
        Verdict.STABILIZING,
        Verdict.SCALED_UP,
        Verdict.SCALED_DOWN,
        Verdict.REBALANCED,
    )
}
"""A change between these reasons is an event only if the fleet was resized."""


class Metric(IntEnum):
    """The columns of the ring buffers, in their order."""

    ARRIVALS = 0
    DEMAND = auto()
    CAPACITY = auto()
    NEED = auto()
    WANTED = auto()
    RUNNING = auto()
    PODS = auto()
    WORKERS_PER_POD = auto()
    LATENCY = auto()
    OBJECTIVE = auto()
    UTILIZATION = auto()
    TARGET = auto()
    COST = auto()
    BASELINE_COST = auto()
    FAILING = auto()


PEAK_METRICS = frozenset(
    {
        Metric.ARRIVALS,
        Metric.DEMAND,
        Metric.NEED,
        Metric.LATENCY,
        Metric.UTILIZATION,
        Metric.FAILING,
    }
)
"""A coarse row keeps the maximum of these, and the last value of the others."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A period that the console can show, and its resolution."""

    name: str
    step: float
    """Seconds per row."""
    size: int
    """Rows."""

    @property
    def seconds(self) -> float:
        """The length of the period."""
        return self.step * self.size


TIME_RANGES = (TimeRange("15 min", 2, 450), TimeRange("3 h", 20, 540), TimeRange("24 h", 180, 480))


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """A decision that differs from the one before, or a condition that changed."""

    time: float
    title: str
    size: str
    """The fleet as pods x workers, before and after; empty for a condition."""
    message: str
    resized: bool = False
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSnapshot:
    """The last decision in numbers."""

    time: float
    mode: Mode
    workers: int
    replicas: int
    reason: str
    message: str
    need: Need
    load: Load
    threshold: float
    """Of the objective that is closest to being missed."""
    measured: float | None
    """The latency, or the time to the first byte, at the percentile of that objective."""
    capacity: float | None
    """Requests per second that the running workers can serve at the target utilization."""
    ready: int
    """Ready pods."""
    running: int
    """Running workers."""
    cost_per_hour: float
    """Of the wanted fleet, at the prices in the spec."""
    savings: Savings | None


@dataclass(slots=True)
class AIApiHistory:
    """One AIApi over time."""

    current: DecisionSnapshot
    conditions: dict[str, bool | None] = field(default_factory=dict)
    rings: tuple[RingBuffer, ...] = field(default_factory=lambda: tuple(map(_ring, TIME_RANGES)))
    events: deque[HistoryEvent] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))


def _ring(time_range: TimeRange) -> RingBuffer:
    return RingBuffer(
        step=time_range.step, size=time_range.size, columns=len(Metric), peaks=PEAK_METRICS
    )


class History:
    """The histories of all AIApis. Receives what the metrics receive."""

    def __init__(self, *, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._by_key: dict[Key, AIApiHistory] = {}
        self.since = wall()
        """When recording began."""

    def get(self, key: Key) -> AIApiHistory | None:
        """The history of an AIApi, if there is one."""
        return self._by_key.get(key)

    def record_decision(
        self, key: Key, spec: SizingSpec, seen: ObservedFleet, decision: Decision
    ) -> None:
        """Record a decision."""
        current = _snapshot(self._wall(), spec, seen, decision)
        history = self._by_key.get(key)
        if history is None:
            if len(self._by_key) >= MAX_AIAPIS:
                return
            history = self._by_key[key] = AIApiHistory(current)
            history.events.append(_first_event(current))
        else:
            history.events.extend(_decision_events(history.current, current))
            history.current = current
        row = _row(current)
        for ring in history.rings:
            ring.add(current.time, row)

    def record_conditions(self, key: Key, conditions: Iterable[Condition]) -> None:
        """Record the conditions that changed."""
        history = self._by_key.get(key)
        if history is None:
            return
        for condition in conditions:
            before = history.conditions.get(condition.type)
            event = _condition_event(condition, before, self._wall())
            if event is not None:
                history.events.append(event)
            if condition.status is not None:
                history.conditions[condition.type] = condition.status

    def forget(self, key: Key) -> None:
        """Drop the history of a deleted AIApi."""
        self._by_key.pop(key, None)


def _snapshot(
    time: float, spec: SizingSpec, seen: ObservedFleet, decision: Decision
) -> DecisionSnapshot:
    need, objective = decision.need, decision.load.nearest(spec.objectives)
    capacity = None
    if need.service_demand:
        capacity = seen.workers * need.target_utilization / need.service_demand
    return DecisionSnapshot(
        time=time,
        mode=spec.mode,
        workers=decision.workers,
        replicas=decision.replicas,
        reason=decision.verdict.value,
        message=decision.message[:MAX_MESSAGE],
        need=need,
        load=decision.load,
        threshold=objective.threshold,
        measured=decision.load.measured(objective.kind),
        capacity=capacity,
        ready=seen.ready,
        running=seen.workers,
        cost_per_hour=plan.hourly_cost(
            # Workers cost what they were measured to use, as in the savings.
            priced(spec, decision.state.memory.get(WorkerUse)),
            Size(workers=decision.workers, replicas=decision.replicas),
        ),
        savings=seen.savings,
    )


def _row(current: DecisionSnapshot) -> list[float]:
    savings = current.savings
    values = {
        Metric.ARRIVALS: current.load.arrivals_per_second,
        Metric.DEMAND: current.need.demand,
        Metric.CAPACITY: current.capacity,
        Metric.NEED: current.need.workers,
        Metric.WANTED: current.workers * current.replicas,
        Metric.RUNNING: current.running,
        Metric.PODS: current.ready,
        Metric.WORKERS_PER_POD: current.workers,
        Metric.LATENCY: current.measured,
        Metric.OBJECTIVE: current.threshold,
        Metric.UTILIZATION: current.load.loop_utilization,
        Metric.TARGET: current.need.target_utilization,
        Metric.COST: current.cost_per_hour,
        Metric.BASELINE_COST: None if savings is None else savings.baseline_hour,
        Metric.FAILING: current.load.failing,
    }
    return [nan if (value := values[metric]) is None else float(value) for metric in Metric]


def _first_event(current: DecisionSnapshot) -> HistoryEvent:
    return HistoryEvent(
        time=current.time,
        title=current.reason,
        size=_fleet(current),
        message=f"history begins: {current.message}",
    )


def _fleet(snapshot: DecisionSnapshot) -> str:
    return f"{snapshot.replicas} x {snapshot.workers}"


def _decision_events(before: DecisionSnapshot, current: DecisionSnapshot) -> Iterator[HistoryEvent]:
    resized = (before.workers, before.replicas) != (current.workers, current.replicas)
    new_reason = before.reason != current.reason
    routine = {before.reason, current.reason} <= _ROUTINE
    if resized or (new_reason and not routine):
        size = f"{_fleet(before)} → {_fleet(current)}" if resized else _fleet(current)
        yield HistoryEvent(
            time=current.time,
            title=current.reason,
            size=size,
            message=current.message,
            resized=resized,
        )


def _condition_event(condition: Condition, before: bool | None, time: float) -> HistoryEvent | None:
    """The event of a condition whose status was ``before``; None if nothing worth showing."""
    bad = condition.type not in HEALTHY_WHEN_TRUE
    if condition.status is before or condition.status is None:
        return None
    is_bad = condition.status is bad
    if not is_bad and before is not bad:
        return None
    title = condition.type if condition.status else f"not {condition.type}"
    if bad and not is_bad:
        title = f"{condition.type} resolved"
    return HistoryEvent(
        time=time, title=title, size="", message=condition.message[:MAX_MESSAGE], warning=is_bad
    )
