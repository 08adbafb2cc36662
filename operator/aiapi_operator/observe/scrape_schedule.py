"""Which pods of a large fleet are asked in a tick, and what the others said last.

Up to 200 pods are all asked each time. Of more, each tick asks one part after another: who
belongs to which part hangs on the pod's name alone, so it stays the same as pods come and go. All
have been asked within as many ticks as a sample stays fresh, four at most: with 1,000 pods
and 2 s, 250 a tick, each every 8 s. In between a pod's last answer stands, with its own time,
and a pod that did not answer stays unknown until it is asked again.

Pods on their way are asked each time: those that are new, that Kubernetes sees as ready and that
did not say so themselves (or the other way round), or that run another number of workers than is
wanted.
"""

from collections.abc import Sequence
from zlib import crc32

from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.inputs import PodSample, PodUnknown

ALL = 200
"""Fleets up to this size are asked as a whole."""
MOST_PARTS = 4
FRESH_TICKS, FRESH_SECONDS = 3, 10.0
"""The right-sizer trusts a sample for so long, whichever is more. See sizing/rates.py."""


def parts(pods: int, *, interval: float) -> int:
    """In how many parts the pods are asked, one a tick."""
    if pods <= ALL:
        return 1
    fresh = max(FRESH_TICKS * interval, FRESH_SECONDS)
    return max(1, min(MOST_PARTS, int(fresh / interval) - 1))


class ScrapeSchedule:
    """One fleet's answers, from tick to tick."""

    def __init__(self) -> None:
        self._turn = 0
        self._last: dict[str, PodSample | PodUnknown] = {}

    def due(
        self, targets: Sequence[ScrapeTarget], *, interval: float, workers: int | None
    ) -> list[ScrapeTarget]:
        """Who is to be asked now; ``workers`` are wanted in each pod, if that is known."""
        self._turn += 1
        many = parts(len(targets), interval=interval)
        if many == 1:
            return list(targets)
        part = self._turn % many
        return [
            target
            for target in targets
            if crc32(target.pod.encode()) % many == part or self._moves(target, workers)
        ]

    def _moves(self, target: ScrapeTarget, workers: int | None) -> bool:
        last = self._last.get(target.pod)
        if not isinstance(last, PodSample):
            return last is None
        wanted = last.workers_wanted if workers is None else workers
        return last.ready != target.ready or last.workers_ready != wanted

    def take(
        self, targets: Sequence[ScrapeTarget], answers: Sequence[PodSample | PodUnknown]
    ) -> tuple[PodSample | PodUnknown, ...]:
        """Note the answers; returns the last one of each target, in their order."""
        self._last.update((answer.pod, answer) for answer in answers)
        self._last = {
            target.pod: self._last[target.pod] for target in targets if target.pod in self._last
        }
        return tuple(self._last.values())
