"""Need history: the highest need of each stabilization window, and samples of the need.

Scaling down uses the highest need of a window, as HPA and KPA do: 30 s for workers, 300 s for pods.
While the need is unknown, the running fleet counts instead: after a start, or after five minutes
without metrics, nothing shrinks until a whole window has been observed.

Every 10 s the highest need of the workers' window is kept as a sample, for five minutes. The number
of pods is planned with these samples (pods.py).
"""

from dataclasses import dataclass

from aiapi_operator.sizing import peaks
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.state import PeakWindow, Size

EVERY = 10.0
"""Seconds between two samples. A third of the workers' window."""
SAMPLES = 30
"""Samples that are kept. Five minutes, the default of scaleDown.replicasAfter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedHistory:
    """Windows of needs in workers, and of the fleet that ran while the need was unknown."""

    workers: PeakWindow = ()
    replicas: PeakWindow = ()
    running_workers: PeakWindow = ()
    running_replicas: PeakWindow = ()
    samples: tuple[float, ...] = ()
    sampled: float | None = None

    def lately(self, need: float) -> float:
        """The highest need of the workers' window, including ``need``."""
        return max(need, peaks.peak(self.workers) or 0.0)

    def lasting(self, need: float) -> float:
        """The highest need of the pods' window, including ``need``."""
        return max(need, peaks.peak(self.replicas) or 0.0)


def learn(known: NeedHistory | None, facts: Facts) -> NeedHistory:
    """Add the need of the previous tick."""
    known, last, spec = known or NeedHistory(), facts.last, facts.spec
    if last is None or facts.gap:
        return _running(known, facts.base, spec, facts.now)
    if last.need is None:
        return _running(known, last.size, spec, last.time)
    workers, replicas = spec.workers_down_after, spec.replicas_down_after
    needs = peaks.push(known.workers, time=last.time, value=last.need, window=workers)
    samples, sampled = known.samples, known.sampled
    if sampled is None or last.time - sampled >= EVERY - 1e-6:
        samples = (*samples, peaks.peak(needs) or 0.0)[-SAMPLES:]
        sampled = last.time
    return NeedHistory(
        workers=needs,
        replicas=peaks.push(known.replicas, time=last.time, value=last.need, window=replicas),
        running_workers=peaks.expire(known.running_workers, time=facts.now, window=workers),
        running_replicas=peaks.expire(known.running_replicas, time=facts.now, window=replicas),
        samples=samples,
        sampled=sampled,
    )


def _running(known: NeedHistory, size: Size, spec: SizingSpec, time: float) -> NeedHistory:
    workers, replicas = spec.workers_down_after, spec.replicas_down_after
    return NeedHistory(
        workers=peaks.expire(known.workers, time=time, window=workers),
        replicas=peaks.expire(known.replicas, time=time, window=replicas),
        running_workers=peaks.push(
            known.running_workers, time=time, value=size.workers, window=workers
        ),
        running_replicas=peaks.push(
            known.running_replicas, time=time, value=size.replicas, window=replicas
        ),
    )


LEARNER = Learner(kind=NeedHistory, learn=learn)
