"""Counts the requests that were answered within the objective, for burn rates.

A failed request misses the objective: it counts as measured, and never as within. Failed are
server errors, shed requests, and cancelled ones where they count as failures (see
``sizing/learners/failed_requests.py``). Pods measure no latency of these.

A first byte counts when it is sent. A stream that fails later counts as failed as well.

Pods report counters since their own start. Counts from before the first sample are left out, so
that a restart of the operator does not count old requests again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from aiapi_operator.sizing.inputs import Histogram, ObjectiveKind, PodSample

OUTCOMES = ("success", "client_error", "server_error", "cancelled", "shed")
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


@dataclass(frozen=True, slots=True)
class _Counts:
    instance: str
    outcomes: tuple[int, ...]
    measured: float
    within: float
    threshold: float
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
            current = _count(sample, kind, threshold, self._ticks)
            before = self._pods.get(sample.pod)
            self._pods[sample.pod] = current
            if before is None or (before.instance, before.threshold) != (
                current.instance,
                threshold,
            ):
                continue
            # Counters of one instance only grow, but a count between two bounds is interpolated.
            for at, (count, old) in enumerate(zip(current.outcomes, before.outcomes, strict=True)):
                total[at] += max(0, count - old)
            more = max(0.0, current.measured - before.measured)
            measured += more
            within += min(more, max(0.0, current.within - before.within))
        oldest = self._ticks - _KEPT_TICKS
        self._pods = {pod: counts for pod, counts in self._pods.items() if counts.tick > oldest}
        outcomes = dict(zip(OUTCOMES, total, strict=True))
        failed = {name: outcomes[name] for name in FAILURES}
        if not counts_cancelled:
            failed["cancelled"] = 0
        return Increase(outcomes, failed, measured + sum(failed.values()), within)


def _count(sample: PodSample, kind: ObjectiveKind, threshold: float, tick: int) -> _Counts:
    times = sample.first_byte if kind is ObjectiveKind.FIRST_BYTE else sample.latency
    return _Counts(
        instance=sample.instance,
        outcomes=(
            sample.succeeded,
            sample.client_errors,
            sample.server_errors,
            sample.cancelled,
            sample.shed,
        ),
        measured=float(sum(times.counts)),
        within=below(times, threshold),
        threshold=threshold,
        tick=tick,
    )


def below(histogram: Histogram, threshold: float) -> float:
    """Observations up to ``threshold``, interpolated within its bucket."""
    count, lower = 0.0, 0.0
    for upper, here in zip(histogram.bounds, histogram.counts, strict=False):
        if upper > threshold:
            return count + here * max(0.0, threshold - lower) / (upper - lower)
        count, lower = count + here, upper
    return count
