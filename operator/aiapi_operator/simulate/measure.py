"""The measures: how often the objective was met, what it cost, how restless the fleet was.

A one-minute window meets the objective when its percentile, over the requests that came in
that minute, is within the threshold. Requests that got no good answer count as too late. A
minute without requests is no window. A request counts once however often its caller tried, in
the minute of the first try, with the time from the first try until the last answer.

200 requests in a minute, 9 of them over 800 ms and 2 failed: 189 of 200 are in time, 94.5 %;
a p95 objective is missed in that window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from aiapi_operator.simulate.counters import SHED, SUCCESS
from aiapi_operator.simulate.in_flight import ServedRequests
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.state import Size

_PER_E = 100
"""Buckets of latency for a factor of e: a percentile is within 1 %."""
_LOWEST = 1e-4
_BUCKETS = 1600


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteStats:
    """One minute of a run."""

    requests: int
    in_time: int
    latency: float | None
    """The objective's percentile; infinite when too many got no answer."""
    workers: int
    """Ordered at its end."""
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeChange:
    """A change of the fleet's size, and why."""

    at: float
    before: Size
    after: Size
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a policy did with a trace."""

    policy: str
    attainment_windows: float
    attainment_requests: float
    core_hours: float
    pod_hours: float
    worker_hours: float
    utilization: float
    """Loop time over the time for which workers served."""
    p50: float
    p95: float
    p99: float
    requests: int
    shed: int
    """Requests that were refused, the last time that they were tried."""
    failed: int
    """Requests that ended with an error or without an answer by the caller's deadline."""
    retries: int
    """Tries after the first."""
    direction_changes_per_hour: float
    max_workers: int
    scale_downs: int
    decide_ms: float
    seconds: float
    """How long the simulation took."""
    minutes: tuple[MinuteStats, ...]
    changes: tuple[SizeChange, ...]


@dataclass(slots=True)
class RunRecorder:
    """Takes down what happens."""

    objective: LatencyObjective
    patience: float = 60.0
    """Seconds after which every request of a minute is over."""
    shed: int = 0
    failed: int = 0
    _new: list[ServedRequests] = field(default_factory=list)
    """Not looked at yet: once a minute is enough."""
    _histogram: Floats = field(default_factory=lambda: np.zeros(_BUCKETS))
    _latencies: dict[int, list[Floats]] = field(default_factory=dict)
    _sizes: list[Size] = field(default_factory=list)
    _minutes: list[MinuteStats] = field(default_factory=list)

    def add(self, served: ServedRequests) -> None:
        """Some requests that are over."""
        if len(served.leaves):
            self._new.append(served)

    def _take_down(self) -> None:
        if not self._new:
            return
        born = np.concatenate([served.requests.born for served in self._new])
        leaves = np.concatenate([served.leaves for served in self._new])
        outcome = np.concatenate([served.outcome for served in self._new])
        self._new.clear()
        good = outcome == SUCCESS
        shed = int((outcome == SHED).sum())
        self.shed += shed
        self.failed += int(len(good) - good.sum()) - shed
        took = leaves - born
        # Who got no answer waited for as long as it took to know.
        place = np.log(np.maximum(took, _LOWEST) / _LOWEST) * _PER_E
        inside = np.minimum(place.astype(np.int64), _BUCKETS - 1)
        self._histogram += np.bincount(inside, minlength=_BUCKETS)
        latency = np.where(good, took, np.inf)
        minute = (born // 60).astype(np.int64)
        for each in np.unique(minute).tolist():
            self._latencies.setdefault(each, []).append(latency[minute == each])

    def close_minute(self, size: Size) -> None:
        """The minute is over, and the fleet has this size. Its requests may not be over yet."""
        self._take_down()
        self._sizes.append(size)
        while 60 * (len(self._minutes) + 1) + self.patience < 60 * len(self._sizes):
            self._finish()

    def minutes(self) -> tuple[MinuteStats, ...]:
        """All minutes, when the run is over."""
        self._take_down()
        while len(self._minutes) < len(self._sizes):
            self._finish()
        return tuple(self._minutes)

    def _finish(self) -> None:
        number = len(self._minutes)
        parts = self._latencies.pop(number, None)
        latencies = np.concatenate(parts) if parts else np.empty(0)
        size = self._sizes[number]
        self._minutes.append(
            MinuteStats(
                requests=len(latencies),
                in_time=int((latencies <= self.objective.threshold).sum()),
                latency=_percentile(latencies, self.objective.percentile),
                workers=size.total,
                replicas=size.replicas,
            )
        )

    def percentile(self, percent: float) -> float:
        """Of all latencies, within 1 %."""
        reached = np.searchsorted(np.cumsum(self._histogram), self._histogram.sum() * percent / 100)
        return float(_LOWEST * np.exp((reached + 0.5) / _PER_E))


def attainment_windows(minutes: Sequence[MinuteStats], objective: LatencyObjective) -> float:
    """Share of the windows that met the objective."""
    windows = [minute for minute in minutes if minute.requests]
    least = objective.percentile / 100
    met = sum(minute.in_time >= minute.requests * least - 1e-9 for minute in windows)
    return met / len(windows) if windows else 1.0


def attainment_requests(minutes: Sequence[MinuteStats]) -> float:
    """Share of the requests that were answered within the threshold."""
    requests = sum(minute.requests for minute in minutes)
    in_time = sum(minute.in_time for minute in minutes)
    return in_time / requests if requests else 1.0


def _percentile(latencies: Floats, percent: float) -> float | None:
    """The latency that ``percent`` of the requests did not exceed."""
    if not len(latencies):
        return None
    rank = min(len(latencies) - 1, max(0, ceil(len(latencies) * percent / 100 - 1e-9) - 1))
    return float(np.partition(latencies, rank)[rank])


def direction_changes(changes: tuple[SizeChange, ...], seconds: float) -> float:
    """How often an hour the number of workers turned from rising to falling, or back.

    8 to 10 to 12 to 9 to 9 to 11 workers in one hour: down after up, up after down, 2.
    """
    turns, last = 0, 0
    for change in changes:
        step = change.after.total - change.before.total
        if step == 0:
            continue
        direction = 1 if step > 0 else -1
        turns += last not in (0, direction)
        last = direction
    return turns * 3600 / seconds if seconds > 0 else 0.0
