"""The measures: how often the objective was met, what it cost, how restless the fleet was.

A one-minute window meets the objective when its percentile, over the requests that came in
that minute, is within the threshold. Requests that got no good answer count as too late. A
minute without requests is no window.

200 requests in a minute, 9 of them over 800 ms and 2 failed: 189 of 200 are in time, 94.5 %;
a p95 objective is missed in that window.
"""

from dataclasses import dataclass, field
from math import ceil

import numpy as np

from aiapi_operator.simulate.counters import Outcome
from aiapi_operator.simulate.fleet import Served
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.sizing.inputs import Objective
from aiapi_operator.sizing.state import Size

_PER_E = 100
"""Buckets of latency for a factor of e: a percentile is within 1 %."""
_LOWEST = 1e-4
_BUCKETS = 1600


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One minute of a run."""

    requests: int
    in_time: int
    latency: float | None
    """The objective's percentile; infinite when too many got no answer."""
    workers: int
    """Ordered at its end."""
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the fleet's size, and why."""

    at: float
    before: Size
    after: Size
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a policy did with a trace."""

    policy: str
    attainment_windows: float
    attainment_requests: float
    core_hours: float
    pod_hours: float
    worker_hours: float
    p50: float
    p95: float
    p99: float
    requests: int
    shed: int
    """Callers that gave up before a loop came to their request."""
    failed: int
    """Answers that were an error or came after the caller's deadline, ``shed`` apart."""
    direction_changes_per_hour: float
    max_workers: int
    scale_downs: int
    decide_ms: float
    seconds: float
    """How long the simulation took."""
    minutes: tuple[Minute, ...]
    changes: tuple[Change, ...]


@dataclass(slots=True)
class Recorder:
    """Takes down what happens."""

    objective: Objective
    _histogram: Floats = field(default_factory=lambda: np.zeros(_BUCKETS))
    _latencies: list[Floats] = field(default_factory=list)
    minutes: list[Minute] = field(default_factory=list)
    shed: int = 0
    failed: int = 0

    def add(self, served: Served) -> None:
        """Some requests of this minute."""
        good = served.outcome == Outcome.SUCCESS
        self.shed += served.gave_up
        self.failed += int(len(good) - good.sum()) - served.gave_up
        latency = np.where(good, served.latency, np.inf)
        self._latencies.append(latency)
        # Who got no answer waited for as long as it took to know.
        place = np.log(np.maximum(served.latency, _LOWEST) / _LOWEST) * _PER_E
        inside = np.minimum(place.astype(np.int64), _BUCKETS - 1)
        self._histogram += np.bincount(inside, minlength=_BUCKETS)

    def close_minute(self, size: Size) -> None:
        """The minute is over."""
        latencies = np.concatenate(self._latencies) if self._latencies else np.empty(0)
        self._latencies.clear()
        self.minutes.append(
            Minute(
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

    def attainment_windows(self) -> float:
        """Share of the windows that met the objective."""
        windows = [minute for minute in self.minutes if minute.requests]
        met = sum(self._met(minute) for minute in windows)
        return met / len(windows) if windows else 1.0

    def attainment_requests(self) -> float:
        """Share of the requests that were answered within the threshold."""
        requests = sum(minute.requests for minute in self.minutes)
        in_time = sum(minute.in_time for minute in self.minutes)
        return in_time / requests if requests else 1.0

    def _met(self, minute: Minute) -> bool:
        return minute.in_time >= minute.requests * self.objective.percentile / 100 - 1e-9


def _percentile(latencies: Floats, percent: float) -> float | None:
    """The latency that ``percent`` of the requests did not exceed."""
    if not len(latencies):
        return None
    rank = min(len(latencies) - 1, max(0, ceil(len(latencies) * percent / 100 - 1e-9) - 1))
    return float(np.partition(latencies, rank)[rank])


def direction_changes(changes: tuple[Change, ...], seconds: float) -> float:
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
