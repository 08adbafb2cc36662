"""Counts the requests that were answered within the objective, for burn rates.

A failed request misses the objective: it counts as measured, and never as within. Failed are
server errors, shed requests, and cancelled ones where they count as failures (see
``sizing/learners/failed_requests.py``). Pods measure no latency of these.

A first byte counts when it is sent. A stream that fails later counts as failed as well.

Pods report counters since their own start. Counts from before the first sample are left out, so
that a restart of the operator does not count old requests again.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from aiapi_operator.sizing.inputs import Histogram, ObjectiveKind, PodSample

_OUTCOMES = {
    "success": attrgetter("succeeded"),
    "client_error": attrgetter("client_errors"),
    "server_error": attrgetter("server_errors"),
    "cancelled": attrgetter("cancelled"),
    "shed": attrgetter("shed"),
}
OUTCOMES = tuple(_OUTCOMES)
FAILURES = ("server_error", "cancelled", "shed")
_KEPT_TICKS = 60
"""Ticks after which a pod that does not answer is dropped."""


@dataclass(frozen=True, slots=True)
class Increase:
    """The increase since the previous tick."""

    outcomes: dict[str, int]
    failed: dict[str, int]
    """The outcomes that are failures."""
    measured: float
    """Requests that met or missed the objective."""
    within: float
    """Requests that met it."""


class _Counts(NamedTuple):
    """The last counts of one pod."""

    sample: PodSample
    measured: float
    within: float


class Attainment:
    """The last counts of one AIApi's pods, for one of its objectives."""

    def __init__(self) -> None:
        self._pods: dict[str, _Counts] = {}
        self._silent: dict[str, int] = {}
        """Ticks since a pod last answered."""
        self._threshold = 0.0

    def since(
        self,
        samples: Sequence[PodSample],
        threshold: float,
        *,
        kind: ObjectiveKind = ObjectiveKind.LATENCY,
        counts_cancelled: bool = False,
    ) -> Increase:
        """The increase since the previous samples. A silent pod counts when it answers again."""
        if threshold != self._threshold:
            self._threshold, self._pods = threshold, {}
        pairs: list[tuple[PodSample, PodSample]] = []
        measured = within = 0.0
        for sample in samples:
            before = self._pods.get(sample.pod)
            if before is not None and before.sample is sample:
                continue  # it was not asked in this tick
            current = self._pods[sample.pod] = _count(sample, kind, threshold)
            if before is None or before.sample.instance != sample.instance:
                continue
            pairs.append((before.sample, sample))
            # Counters of one instance only grow, but a count between two bounds is interpolated.
            more = max(0.0, current.measured - before.measured)
            measured += more
            within += min(more, max(0.0, current.within - before.within))
        self._drop_silent(samples)
        outcomes = {
            name: sum([max(0, of(after) - of(before)) for before, after in pairs])
            for name, of in _OUTCOMES.items()
        }
        failed = {name: outcomes[name] for name in FAILURES}
        if not counts_cancelled:
            failed["cancelled"] = 0
        return Increase(outcomes, failed, measured + sum(failed.values()), within)

    def _drop_silent(self, samples: Sequence[PodSample]) -> None:
        if len(samples) == len(self._pods):
            self._silent = {}
            return
        silent = self._pods.keys() - {sample.pod for sample in samples}
        self._silent = {pod: self._silent.get(pod, 0) + 1 for pod in silent}
        for pod, ticks in self._silent.items():
            if ticks >= _KEPT_TICKS:
                del self._pods[pod]


def _count(sample: PodSample, kind: ObjectiveKind, threshold: float) -> _Counts:
    times = sample.first_byte if kind is ObjectiveKind.FIRST_BYTE else sample.latency
    return _Counts(sample, float(sum(times.counts)), below(times, threshold))


def below(histogram: Histogram, threshold: float) -> float:
    """Observations up to ``threshold``, interpolated within its bucket."""
    bounds, counts = histogram.bounds, histogram.counts
    at = bisect_right(bounds, threshold)
    count = float(sum(counts[:at]))
    if at >= min(len(bounds), len(counts)):
        return count
    lower = bounds[at - 1] if at else 0.0
    share = max(0.0, threshold - lower) / (bounds[at] - lower)
    return count + counts[at] * share
