"""Which pods are scraped in a tick, and the last answers of the others.

Up to 200 pods are scraped in every tick. Larger fleets are split by a hash of the pod's name, and
each tick scrapes one part. A full turn takes no more ticks than a sample stays fresh, and four at
most: with 1,000 pods and an interval of 2 s, each tick scrapes 250 pods and each pod is scraped
every 8 s. In between, a pod's last answer is used with its own time. The same holds for a pod
that the scraper could not ask in time: the right-sizer rejects an answer that has become too old.

Pods in transition are scraped in every tick: new pods, pods whose readiness according to
Kubernetes differs from their own, and pods that do not run the wanted number of workers.
"""

from collections.abc import Sequence
from zlib import crc32

from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.inputs import PodSample, PodUnknown

WHOLE_FLEET = 200
"""The largest fleet that is scraped as a whole."""
MAX_PARTS = 4
FRESH_TICKS, FRESH_SECONDS = 3, 10.0
"""How long the right-sizer uses a sample, whichever is longer. See sizing/rates.py."""


def parts(pods: int, *, interval: float) -> int:
    """The number of parts that a fleet is split into."""
    if pods <= WHOLE_FLEET:
        return 1
    fresh = max(FRESH_TICKS * interval, FRESH_SECONDS)
    return max(1, min(MAX_PARTS, int(fresh / interval) - 1))


class ScrapeSchedule:
    """The scrape order and the last answers of one fleet."""

    def __init__(self) -> None:
        self._tick = 0
        self._last: dict[str, PodSample | PodUnknown] = {}

    def due(
        self, targets: Sequence[ScrapeTarget], *, interval: float, workers: int | None
    ) -> list[ScrapeTarget]:
        """The pods to scrape now; ``workers`` is the wanted number in each pod, if known."""
        self._tick += 1
        count = parts(len(targets), interval=interval)
        if count == 1:
            return list(targets)
        part = self._tick % count
        return [
            target
            for target in targets
            if crc32(target.pod.encode()) % count == part or self._is_in_transition(target, workers)
        ]

    def _is_in_transition(self, target: ScrapeTarget, workers: int | None) -> bool:
        last = self._last.get(target.pod)
        if not isinstance(last, PodSample):
            return last is None
        wanted = last.workers_wanted if workers is None else workers
        return last.ready != target.ready or last.workers_ready != wanted

    def record(
        self, targets: Sequence[ScrapeTarget], answers: Sequence[PodSample | PodUnknown]
    ) -> tuple[PodSample | PodUnknown, ...]:
        """Record the answers. Returns the last answer of each target, in their order.

        A pod that was never asked is unknown: without it, the fleet would seem smaller.
        """
        self._last.update((answer.pod, answer) for answer in answers)
        self._last = {
            target.pod: self._last[target.pod] for target in targets if target.pod in self._last
        }
        return tuple([self._last.get(target.pod) or _not_asked(target) for target in targets])


def _not_asked(target: ScrapeTarget) -> PodUnknown:
    return PodUnknown(pod=target.pod, ready=target.ready, reason="not asked yet")
