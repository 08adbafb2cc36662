"""The facts of one tick: built once, read by every learner, need, guard and diagnosis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from aiapi_operator.sizing import granted, windows
from aiapi_operator.sizing.fleet_samples import FleetSamples
from aiapi_operator.sizing.histogram import Percentile
from aiapi_operator.sizing.inputs import Bounds, Fleet, LatencyObjective, ObjectiveKind, SizingSpec
from aiapi_operator.sizing.state import FAST_WINDOW, Outcome, Size, Tick

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Facts:
    """The spec, the fleet, its recent rates, and what has been learned so far."""

    spec: SizingSpec
    fleet: Fleet
    seen: FleetSamples
    ticks: tuple[Tick, ...]
    """The last 60 s, oldest first. May be empty."""
    tick: Tick | None
    """The newest tick; None if this call measured none."""
    known: bool
    """Whether rates are recent and a ready pod answered, so that the need can be computed."""
    gap: bool
    """Whether the previous call is too long ago to know the need in between."""
    now: float
    since: float
    """When this operator first saw the AIApi."""
    elapsed: float
    """Seconds since the previous call; 0 at the first."""
    last: Outcome | None
    """The previous decision."""
    running: Size
    """The size of the running fleet. A restarted pod may be at the template's size."""
    base: Size
    """The size from which changes start: ``running``, or with more workers if more were ordered."""
    memory: dict[type, Any] = field(default_factory=dict)
    _mean: Callable[[str], float] | None = None
    _means: dict[str, float] = field(default_factory=dict)
    _latencies: dict[ObjectiveKind, Percentile | None] = field(default_factory=dict)
    _recent: tuple[Tick, ...] | None = None
    _start: Size | None = None
    _plannable: SizingSpec | None = None

    def get(self, kind: type[T]) -> T | None:
        """What the learner of this kind has learned; None if nothing, or if it is not listed."""
        return self.memory.get(kind)

    @property
    def recent(self) -> Sequence[Tick]:
        """The ticks of the last 6 s, or the newest one if it is older."""
        if self._recent is None:
            self._recent = windows.last(self.ticks, now=self.now, seconds=FAST_WINDOW)
        return self._recent

    @property
    def start(self) -> Size:
        """``base`` within the bounds."""
        if self._start is None:
            self._start = self.base.within(self.spec.workers, self.spec.replicas)
        return self._start

    @property
    def plannable(self) -> SizingSpec:
        """The spec with no more workers per pod than pods can have: for planning pods."""
        if self._plannable is None:
            most = granted.per_pod(self.spec, self.fleet)
            self._plannable = self.spec
            if most != self.spec.workers.max:
                workers = Bounds(min=self.spec.workers.min, max=most)
                self._plannable = replace(self.spec, workers=workers)
        return self._plannable

    def mean(self, name: str) -> float:
        """Mean of one rate of ``Tick`` over the last 6 s."""
        found = self._means.get(name)
        if found is None:
            if self._mean is None:
                self._mean = windows.means(self.recent)
            found = self._means[name] = self._mean(name)
        return found

    def latency(self, objective: LatencyObjective) -> Percentile | None:
        """The objective's percentile now; None where nothing was measured."""
        if objective.kind not in self._latencies:
            self._latencies[objective.kind] = windows.latency(self.ticks, objective)
        return self._latencies[objective.kind]

    def replace_tick(self, tick: Tick) -> None:
        """Replace the newest tick with a corrected one, before other learners read it."""
        self.tick = tick
        self.ticks = (*self.ticks[:-1], tick)
        self._mean = None
        self._means.clear()
        self._latencies.clear()
        self._recent = None
