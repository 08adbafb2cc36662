"""The measures of a run: attainment of the objective, cost, and stability.

A one-minute window meets the objective when its percentile, over the requests that arrived in
that minute, is within the threshold. Requests without a successful response count as late. A
minute without requests is not a window. A request counts once however often it is retried: in
the minute of the first attempt, with the time from there until the last response.

A streamed response has reached an objective for the first byte when it begins. With two
objectives a window must meet both, each by its own percentile.

200 requests in a minute, 9 of them over 800 ms and 2 failed: 189 of 200 are in time, 94.5 %;
the window misses a p95 objective.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from aiapi_operator.simulate.cold_starts import ColdRequests, ColdStarts
from aiapi_operator.simulate.counters import SHED, SUCCESS
from aiapi_operator.simulate.in_flight import ServedRequests
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
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
    """Within the first objective."""
    latency: float | None
    """The first objective's percentile; infinite when too many requests had no successful
    response."""
    workers: int
    """Desired at its end."""
    replicas: int
    others_met: bool = True
    """Whether the other objectives were met."""
    without_cold: "MinuteStats | None" = None
    """The same without the requests that met a cold start; None if none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeChange:
    """A change of the fleet's desired size, and its reason."""

    at: float
    before: Size
    after: Size
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The measures of one policy on one workload."""

    policy: str
    attainment_windows: float
    attainment_requests: float
    core_hours: float
    pod_hours: float
    worker_hours: float
    utilization: float
    """Loop time divided by worker time."""
    p50: float
    p95: float
    p99: float
    requests: int
    shed: int
    """Requests whose last attempt was rejected."""
    failed: int
    """Requests whose last attempt ended with an error or missed the client's deadline."""
    retries: int
    """Attempts after the first."""
    direction_changes_per_hour: float
    max_workers: int
    scale_downs: int
    decide_ms: float
    seconds: float
    """Duration of the simulation itself."""
    minutes: tuple[MinuteStats, ...]
    changes: tuple[SizeChange, ...]
    cold_starts: ColdStarts | None = None
    """None for a fleet that always has a pod."""


@dataclass(slots=True)
class RunRecorder:
    """Records latencies and outcomes by minute."""

    objectives: Sequence[LatencyObjective]
    max_request_seconds: float = 60.0
    """Time after which every request of a minute has ended."""
    shed: int = 0
    failed: int = 0
    cold: ColdRequests = field(default_factory=ColdRequests)
    _new: list[ServedRequests] = field(default_factory=list)
    """Not processed yet; once a minute is enough."""
    _histogram: Floats = field(default_factory=lambda: np.zeros(_BUCKETS))
    _warm: Floats = field(default_factory=lambda: np.zeros(_BUCKETS))
    """The same without the requests that met a cold start."""
    _latencies: dict[int, list[Floats]] = field(default_factory=dict)
    """By minute: one row per objective, and one that is 1 for requests that met a cold start."""
    _sizes: list[Size] = field(default_factory=list)
    _minutes: list[MinuteStats] = field(default_factory=list)

    def add(self, served: ServedRequests) -> None:
        """Add requests that have ended."""
        if len(served.ended_at):
            self._new.append(served)

    def _process_new(self) -> None:
        if not self._new:
            return
        first_at = np.concatenate([served.requests.first_at for served in self._new])
        ended_at = np.stack([self._reached(each.kind) for each in self.objectives])
        outcome = np.concatenate([served.outcome for served in self._new])
        self._new.clear()
        good = outcome == SUCCESS
        shed = int((outcome == SHED).sum())
        self.shed += shed
        self.failed += int(len(good) - good.sum()) - shed
        took = ended_at - first_at
        # A request without a successful response took as long as it took to fail.
        place = np.log(np.maximum(took, _LOWEST) / _LOWEST) * _PER_E
        inside = np.minimum(place[0].astype(np.int64), _BUCKETS - 1)
        cold = self.cold.among(first_at)
        self.cold.add(took[0][cold])
        self._histogram += np.bincount(inside, minlength=_BUCKETS)
        self._warm += np.bincount(inside[~cold], minlength=_BUCKETS)
        latency = np.vstack((np.where(good, took, np.inf), cold))
        minute = (first_at // 60).astype(np.int64)
        for each in np.unique(minute).tolist():
            self._latencies.setdefault(each, []).append(latency[:, minute == each])

    def _reached(self, kind: ObjectiveKind) -> Floats:
        """When the new requests reached what objectives of this kind are for."""
        first = kind is ObjectiveKind.FIRST_BYTE
        return np.concatenate(
            [served.began_at if first else served.ended_at for served in self._new]
        )

    def close_minute(self, size: Size) -> None:
        """Close a minute with the fleet's size at its end. Its requests may not have ended yet."""
        self._process_new()
        self._sizes.append(size)
        while 60 * (len(self._minutes) + 1) + self.max_request_seconds < 60 * len(self._sizes):
            self._finish()

    def minutes(self) -> tuple[MinuteStats, ...]:
        """All minutes; call it when the run is over."""
        self._process_new()
        while len(self._minutes) < len(self._sizes):
            self._finish()
        return tuple(self._minutes)

    def _finish(self) -> None:
        number = len(self._minutes)
        parts = self._latencies.pop(number, None)
        none = np.empty((len(self.objectives) + 1, 0))
        *latencies, cold = np.concatenate(parts, axis=1) if parts else none
        stats = self._stats(latencies, self._sizes[number])
        if cold.any():
            warm = [each[cold == 0] for each in latencies]
            stats = replace(stats, without_cold=self._stats(warm, self._sizes[number]))
        self._minutes.append(stats)
        self.cold.forget(60.0 * len(self._minutes))

    def _stats(self, by_objective: Sequence[Floats], size: Size) -> MinuteStats:
        first, *others = self.objectives
        latencies, *more = by_objective
        return MinuteStats(
            requests=len(latencies),
            in_time=int((latencies <= first.threshold).sum()),
            latency=_percentile(latencies, first.percentile),
            workers=size.total,
            replicas=size.replicas,
            others_met=all(map(_met, more, others)),
        )

    def percentile(self, percent: float) -> float:
        """A percentile of all latencies, within 1 %."""
        return _of_histogram(self._histogram, percent)

    def cold_starts(
        self, minutes: Sequence[MinuteStats], *, starts: int, asleep_seconds: float
    ) -> ColdStarts:
        """The cold starts of the run, once all its minutes are known."""
        warm = [minute.without_cold or minute for minute in minutes]
        late = sum(minute.requests - minute.in_time for minute in minutes)
        others_late = sum(minute.requests - minute.in_time for minute in warm)
        took = self.cold.took()
        return ColdStarts(
            starts=starts,
            requests=sum(minute.requests for minute in minutes)
            - sum(minute.requests for minute in warm),
            late=late - others_late,
            p50=float(np.percentile(took, 50)),
            p95=float(np.percentile(took, 95)),
            longest=float(took.max()),
            asleep_seconds=asleep_seconds,
            others_windows=attainment_windows(warm, self.objectives[0]),
            others_late=others_late,
            others_p95=_of_histogram(self._warm, 95),
        )


def _of_histogram(histogram: Floats, percent: float) -> float:
    reached = np.searchsorted(np.cumsum(histogram), histogram.sum() * percent / 100)
    return float(_LOWEST * np.exp((reached + 0.5) / _PER_E))


def _met(latencies: Floats, objective: LatencyObjective) -> bool:
    return _enough(int((latencies <= objective.threshold).sum()), len(latencies), objective)


def _enough(in_time: int, requests: int, objective: LatencyObjective) -> bool:
    return in_time >= requests * objective.percentile / 100 - 1e-9


def attainment_windows(minutes: Sequence[MinuteStats], objective: LatencyObjective) -> float:
    """Share of the windows that met the objectives; ``objective`` is the first."""
    windows = [minute for minute in minutes if minute.requests]
    met = sum(
        minute.others_met and _enough(minute.in_time, minute.requests, objective)
        for minute in windows
    )
    return met / len(windows) if windows else 1.0


def attainment_requests(minutes: Sequence[MinuteStats]) -> float:
    """Share of the requests that were answered within the first threshold."""
    requests = sum(minute.requests for minute in minutes)
    in_time = sum(minute.in_time for minute in minutes)
    return in_time / requests if requests else 1.0


def _percentile(latencies: Floats, percent: float) -> float | None:
    """The latency that ``percent`` of the requests do not exceed."""
    if not len(latencies):
        return None
    rank = min(len(latencies) - 1, max(0, ceil(len(latencies) * percent / 100 - 1e-9) - 1))
    return float(np.partition(latencies, rank)[rank])


def direction_changes(changes: tuple[SizeChange, ...], seconds: float) -> float:
    """How often per hour the number of workers changed direction.

    8, 10, 12, 9, 9, 11 workers in one hour: down after up, then up after down, 2.
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
