"""Counts the requests that were answered within the objective, for burn rates.

A failed request misses the objective: it counts as measured, and never as within. Failed are
server errors, shed requests, and cancelled ones where they count as failures (see
``sizing/learners/failed_requests.py``). Pods measure no latency of these.

A first byte counts when it is sent. A stream that fails later counts as failed as well.

Pods report counters since their own start. Counts from before the first sample are left out, so
that a restart of the operator does not count old requests again.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from operator import add, attrgetter, sub
from typing import NamedTuple

from aiapi_operator.sizing.inputs import Histogram, ObjectiveKind, PodSample

OUTCOMES = ("success", "client_error", "server_error", "cancelled", "shed")
_outcomes = attrgetter("succeeded", "client_errors", "server_errors", "cancelled", "shed")
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
    instance: str
    threshold: float
    outcomes: tuple[int, ...]
    measured: float
    within: float
    tick: int


class Attainment:
    """The last counts of one AIApi's pods, for one of its objectives."""

    def __init__(self) -> None:
        self._pods: dict[str, _Counts] = {}
        self._ticks = 0

    def since(
        self,
        samples: Iterable[PodSample],
        threshold: float,
        *,
        kind: ObjectiveKind = ObjectiveKind.LATENCY,
        counts_cancelled: bool = False,
    ) -> Increase:
        """The increase since the previous samples. A silent pod counts when it answers again."""
        self._ticks += 1
        total = [0] * len(OUTCOMES)
        measured = within = 0.0
        for sample in samples:
            before = self._pods.get(sample.pod)
            current = _count(sample, kind, threshold, self._ticks)
            self._pods[sample.pod] = current
            if before is None or before[:2] != current[:2]:
                continue
            # Counters of one instance only grow, but a count between two bounds is interpolated.
            grown = [max(0, each) for each in map(sub, current.outcomes, before.outcomes)]
            total = list(map(add, total, grown))
            more = max(0.0, current.measured - before.measured)
            measured += more
            within += min(more, max(0.0, current.within - before.within))
        self._drop_old()
        outcomes = dict(zip(OUTCOMES, total, strict=True))
        failed = {name: outcomes[name] for name in FAILURES}
        if not counts_cancelled:
            failed["cancelled"] = 0
        return Increase(outcomes, failed, measured + sum(failed.values()), within)

    def _drop_old(self) -> None:
        oldest = self._ticks - _KEPT_TICKS
        for pod in [pod for pod, counts in self._pods.items() if counts.tick <= oldest]:
            del self._pods[pod]


def _count(sample: PodSample, kind: ObjectiveKind, threshold: float, tick: int) -> _Counts:
    times = sample.first_byte if kind is ObjectiveKind.FIRST_BYTE else sample.latency
    measured, within = float(sum(times.counts)), below(times, threshold)
    return _Counts(sample.instance, threshold, _outcomes(sample), measured, within, tick)


def below(histogram: Histogram, threshold: float) -> float:
    """Observations up to ``threshold``, interpolated within its bucket."""
    bounds, counts = histogram.bounds, histogram.counts
    at = bisect_right(bounds, threshold)
    count = float(sum(counts[:at]))
    if at >= min(len(bounds), len(counts)):
        return count
    lower = bounds[at - 1] if at else 0.0
    return count + counts[at] * max(0.0, threshold - lower) / (bounds[at] - lower)
