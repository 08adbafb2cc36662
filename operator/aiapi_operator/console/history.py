"""What the console remembers of each AIApi, in memory and within bounds.

Three rings an AIApi: 15 minutes as they were, 3 hours by 20 seconds, a day by 3 minutes. Beside
them the last hundred things that happened. A restart of the operator begins anew: for more there
is Prometheus.
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
from aiapi_operator.sizing import plan, worker_use
from aiapi_operator.sizing.decision import Condition, Decision, Load, Need, Verdict
from aiapi_operator.sizing.inputs import Mode, SizingSpec
from aiapi_operator.sizing.savings import Savings
from aiapi_operator.sizing.state import Size

MAX_AIAPIS = 1000
"""AIApis with a history; of more, only the present is shown."""
MAX_EVENTS = 100
"""Things that happened, an AIApi."""
_USUAL = {
    verdict.value
    for verdict in (
        Verdict.STEADY,
        Verdict.STABILIZING,
        Verdict.SCALED_UP,
        Verdict.SCALED_DOWN,
        Verdict.REBALANCED,
    )
}
"""Reasons that are no news by themselves: the resize is, where there is one."""
MAX_MESSAGE = 400
"""Characters of a message that are kept."""


class Metric(IntEnum):
    """What is remembered, in the order of the rings' columns."""

    ARRIVALS = 0
    DEMAND = auto()
    CAPACITY = auto()
    NEED = auto()
    WANTED = auto()
    RUNNING = auto()
    PODS = auto()
    EACH = auto()
    LATENCY = auto()
    OBJECTIVE = auto()
    UTILIZATION = auto()
    TARGET = auto()
    COST = auto()
    STATIC = auto()


PEAK_METRICS = frozenset(
    {Metric.ARRIVALS, Metric.DEMAND, Metric.NEED, Metric.LATENCY, Metric.UTILIZATION}
)
"""Of these a coarse row keeps the highest, of the others the last."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """How far back one may look, and how fine."""

    name: str
    seconds: float
    size: int

    @property
    def length(self) -> float:
        """Seconds."""
        return self.seconds * self.size


TIME_RANGES = (TimeRange("15 min", 2, 450), TimeRange("3 h", 20, 540), TimeRange("24 h", 180, 480))


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """A decision that was another than the one before, or a condition that turned."""

    time: float
    what: str
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
    capacity: float | None
    """Requests a second that the running workers carry at the utilisation aimed at."""
    ready: int
    """Pods that are ready."""
    running: int
    """Workers that run."""
    hour: float
    """What the wanted fleet costs in an hour, at the spec's prices."""
    savings: Savings | None


@dataclass(slots=True)
class AIApiHistory:
    """One AIApi over time."""

    present: DecisionSnapshot
    conditions: dict[str, bool | None] = field(default_factory=dict)
    rings: tuple[RingBuffer, ...] = field(default_factory=lambda: tuple(map(_ring, TIME_RANGES)))
    happenings: deque[HistoryEvent] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))


def _ring(span: TimeRange) -> RingBuffer:
    return RingBuffer(seconds=span.seconds, size=span.size, columns=len(Metric), peaks=PEAK_METRICS)


class History:
    """All stories. Takes the same numbers as the metrics do."""

    def __init__(self, *, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._stories: dict[Key, AIApiHistory] = {}
        self.since = wall()
        """When this operator began to remember."""

    def story(self, key: Key) -> AIApiHistory | None:
        """What is remembered of an AIApi."""
        return self._stories.get(key)

    def decided(self, key: Key, spec: SizingSpec, seen: ObservedFleet, decision: Decision) -> None:
        """A decision was taken."""
        present = _present(self._wall(), spec, seen, decision)
        story = self._stories.get(key)
        if story is None:
            if len(self._stories) >= MAX_AIAPIS:
                return
            story = self._stories[key] = AIApiHistory(present)
            story.happenings.append(_began(present))
        else:
            story.happenings.extend(_news(story.present, present))
            story.present = present
        row = _row(present)
        for ring in story.rings:
            ring.add(present.time, row)

    def diagnosed(self, key: Key, conditions: Iterable[Condition]) -> None:
        """What is told of an AIApi in its conditions."""
        story = self._stories.get(key)
        if story is None:
            return
        for condition in conditions:
            was = story.conditions.get(condition.type)
            happening = _turn(condition, was, self._wall())
            if happening is not None:
                story.happenings.append(happening)
            if condition.status is not None:
                story.conditions[condition.type] = condition.status

    def forget(self, key: Key) -> None:
        """The AIApi is gone, and its story with it."""
        self._stories.pop(key, None)


def _present(
    time: float, spec: SizingSpec, seen: ObservedFleet, decision: Decision
) -> DecisionSnapshot:
    need = decision.need
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
        threshold=spec.objective.threshold,
        capacity=capacity,
        ready=seen.ready,
        running=seen.workers,
        hour=plan.hourly_cost(
            # Workers cost what they were seen to use, as in the savings beside it.
            worker_use.with_learned_resources(spec, decision.state.use),
            Size(workers=decision.workers, replicas=decision.replicas),
        ),
        savings=seen.savings,
    )


def _row(now: DecisionSnapshot) -> list[float]:
    values = {
        Metric.ARRIVALS: now.load.arrivals_per_second,
        Metric.DEMAND: now.need.demand,
        Metric.CAPACITY: now.capacity,
        Metric.NEED: now.need.workers,
        Metric.WANTED: now.workers * now.replicas,
        Metric.RUNNING: now.running,
        Metric.PODS: now.ready,
        Metric.EACH: now.workers,
        Metric.LATENCY: now.load.latency,
        Metric.OBJECTIVE: now.threshold,
        Metric.UTILIZATION: now.load.loop_utilization,
        Metric.TARGET: now.need.target_utilization,
        Metric.COST: now.hour,
        Metric.STATIC: None if now.savings is None else now.savings.baseline_hour,
    }
    return [nan if (value := values[column]) is None else float(value) for column in Metric]


def _began(now: DecisionSnapshot) -> HistoryEvent:
    return HistoryEvent(
        time=now.time, what=now.reason, size=_fleet(now), message=f"history begins: {now.message}"
    )


def _fleet(now: DecisionSnapshot) -> str:
    return f"{now.replicas} x {now.workers}"


def _news(before: DecisionSnapshot, now: DecisionSnapshot) -> Iterator[HistoryEvent]:
    resized = (before.workers, before.replicas) != (now.workers, now.replicas)
    other = before.reason != now.reason and not {before.reason, now.reason} <= _USUAL
    if resized or other:
        size = f"{_fleet(before)} → {_fleet(now)}" if resized else _fleet(now)
        yield HistoryEvent(
            time=now.time, what=now.reason, size=size, message=now.message, resized=resized
        )


def _turn(condition: Condition, was: bool | None, time: float) -> HistoryEvent | None:
    """What there is to say of a condition that was ``was`` before; None where nothing is."""
    good = condition.type not in HEALTHY_WHEN_TRUE
    if condition.status is was or condition.status is None:
        return None
    bad_now = condition.status is good
    if not bad_now and was is not good:
        return None
    title = condition.type if condition.status else f"not {condition.type}"
    if good and not bad_now:
        title = f"{condition.type} is over"
    return HistoryEvent(
        time=time, what=title, size="", message=condition.message[:MAX_MESSAGE], warning=bad_now
    )
