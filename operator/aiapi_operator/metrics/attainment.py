"""How many requests were answered within the objective: what burn rates are made of.

Pods tell counters since their own start. What a pod had counted before it was first seen is left
out: after a restart of the operator the old requests must not be counted again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from aiapi_operator.sizing.inputs import Histogram, PodSample

OUTCOMES = ("success", "client_error", "server_error", "cancelled", "shed")
_REMEMBERED = 60
"""Looks after which a pod that does not answer is forgotten."""


@dataclass(frozen=True, slots=True)
class Increase:
    """What came since the last look: requests by outcome, those measured, those in time."""

    outcomes: dict[str, int]
    measured: float
    within: float


@dataclass(frozen=True, slots=True)
class _Counted:
    instance: str
    outcomes: tuple[int, ...]
    measured: float
    within: float
    threshold: float
    look: int


class Attainment:
    """Remembers the pods of one AIApi."""

    def __init__(self) -> None:
        self._pods: dict[str, _Counted] = {}
        self._looks = 0

    def since(self, samples: Iterable[PodSample], threshold: float) -> Increase:
        """The increase since the samples before. A silent pod is counted when it is back."""
        self._looks += 1
        total = [0] * len(OUTCOMES)
        measured = within = 0.0
        for sample in samples:
            now = _count(sample, threshold, self._looks)
            before = self._pods.get(sample.pod)
            self._pods[sample.pod] = now
            if before is None or (before.instance, before.threshold) != (now.instance, threshold):
                continue
            # Counters of one instance only grow; what is read off between two bounds may waver.
            for at, (count, old) in enumerate(zip(now.outcomes, before.outcomes, strict=True)):
                total[at] += max(0, count - old)
            more = max(0.0, now.measured - before.measured)
            measured += more
            within += min(more, max(0.0, now.within - before.within))
        oldest = self._looks - _REMEMBERED
        self._pods = {pod: seen for pod, seen in self._pods.items() if seen.look > oldest}
        return Increase(dict(zip(OUTCOMES, total, strict=True)), measured, within)


def _count(sample: PodSample, threshold: float, look: int) -> _Counted:
    return _Counted(
        instance=sample.instance,
        outcomes=(
            sample.succeeded,
            sample.client_errors,
            sample.server_errors,
            sample.cancelled,
            sample.shed,
        ),
        measured=float(sum(sample.latency.counts)),
        within=below(sample.latency, threshold),
        threshold=threshold,
        look=look,
    )


def below(histogram: Histogram, threshold: float) -> float:
    """Observations up to ``threshold``, evenly spread within the bucket that holds it."""
    count, lower = 0.0, 0.0
    for upper, here in zip(histogram.bounds, histogram.counts, strict=False):
        if upper > threshold:
            return count + here * max(0.0, threshold - lower) / (upper - lower)
        count, lower = count + here, upper
    return count
