"""Request memory: bytes per request in flight, if pods have a memory limit.

The resident memory of a worker is recorded by its requests in flight, in bins that double (0, 1,
2-3, 4-7, ...). A bin keeps its lowest value, because an allocator returns memory late or never. The
value may double in ten minutes, so that a change is learned. The median slope between the bins is
the memory of a request, and the value at none in flight is the worker itself.

    100 MiB at 0 in flight, 110 at 100, 150 at 500: 0.1 MiB per request
    limit 512 MiB, 2 workers of 100 MiB: (0.8 x 512 - 2 x 100) / 0.1 = 2,096 requests per pod
    6,000 in flight: 3 pods
"""

from dataclasses import dataclass, replace
from itertools import combinations
from math import ceil
from statistics import median
from typing import Any

from aiapi_operator.sizing import peaks
from aiapi_operator.sizing.checkpoint import settled
from aiapi_operator.sizing.counters import MOST
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.worker_use import PODS
from aiapi_operator.sizing.plan import PLANNED
from aiapi_operator.sizing.state import LONG_WINDOW, PeakWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMemoryTuning:
    """Numbers of this learner."""

    bins: int = 3
    """Bins for a fit. Two points always fit a line."""
    samples: int = 5
    """Samples in a bin for it to count. Chosen: 10 s with one pod."""
    span: float = 20.0
    """Requests in flight per worker between the first and the last bin. Chosen: fewer are within an
    allocator's noise."""


TUNING = RequestMemoryTuning()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBin:
    """The lowest resident memory of a worker with this number of requests in flight."""

    bin: int
    in_flight: float
    rss: float
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMemory:
    """The bins, and the fit: bytes per request and of an idle worker (0: unknown)."""

    bins: tuple[MemoryBin, ...] = ()
    request: float = 0.0
    worker: float = 0.0
    pods: PeakWindow = ()
    """Pods needed for the requests in flight, over the pods' stabilization window."""


def learn(known: RequestMemory | None, facts: Facts) -> RequestMemory | None:
    """Add the samples of this tick."""
    limited = [
        sample
        for sample in facts.seen.samples
        if sample.memory_limit_bytes > 0 and sample.ready and sample.workers_ready > 0
    ]
    if not limited or facts.tick is None:
        return known if limited else None
    known = known or RequestMemory()
    bins = {each.bin: each for each in known.bins}
    rise = 1 + facts.tick.seconds / LONG_WINDOW
    for sample in limited[:: max(1, len(limited) // PODS)]:
        workers = sample.workers_ready + sample.workers_draining
        in_flight, rss = sample.in_flight / workers, sample.rss_bytes / workers
        number = int(in_flight).bit_length()
        bins[number] = _bin(bins.get(number), number, in_flight, rss, rise)
    found = tuple(bins[number] for number in sorted(bins))
    request, worker = _fit(found) or (known.request, known.worker)
    learned = RequestMemory(bins=found, request=request, worker=worker)
    pods = peaks.push(
        known.pods,
        time=facts.now,
        value=_pods(learned, facts, min(sample.memory_limit_bytes for sample in limited)),
        window=facts.spec.replicas_down_after,
    )
    return replace(learned, pods=pods)


def _pods(known: RequestMemory, facts: Facts, limit: int) -> int:
    """Pods that can hold the requests in flight; 0 if any number can, or none."""
    room = PLANNED * limit - facts.base.workers * known.worker
    if known.request <= 0 or room <= 0:
        # The workers alone fill the limit: no number of pods makes room for requests.
        return 0
    return ceil(min(MOST, facts.mean("in_flight") * known.request / room) - 1e-9)


def _bin(
    old: MemoryBin | None, number: int, in_flight: float, rss: float, rise: float
) -> MemoryBin:
    if old is None:
        return MemoryBin(bin=number, in_flight=in_flight, rss=rss, seen=1)
    seen = min(old.seen + 1, 1000)
    if rss <= old.rss * rise:
        return MemoryBin(bin=number, in_flight=in_flight, rss=rss, seen=seen)
    return MemoryBin(bin=number, in_flight=old.in_flight, rss=old.rss * rise, seen=seen)


def _fit(bins: tuple[MemoryBin, ...]) -> tuple[float, float] | None:
    """Theil-Sen slope and intercept."""
    points = [(each.in_flight, each.rss) for each in bins if each.seen >= TUNING.samples]
    if len(points) < TUNING.bins or points[-1][0] - points[0][0] < TUNING.span:
        return None
    slopes = [
        (high[1] - low[1]) / (high[0] - low[0])
        for low, high in combinations(points, 2)
        if high[0] > low[0]
    ]
    slope = median(slopes) if slopes else 0.0
    if slope <= 0:
        return None
    return slope, max(0.0, median(rss - slope * in_flight for in_flight, rss in points))


def checkpoint(known: RequestMemory, saved: Saved) -> dict[str, Any]:
    """``requestMemory``, for information: it is learned again after a restart."""
    if known.request <= 0:
        return {}
    text = f"{max(1, round(known.request / 1024))}Ki"
    return {"requestMemory": settled(text, saved, "requestMemory", _kibibytes)}


def _kibibytes(text: str) -> float:
    return float(text.removesuffix("Ki"))


LEARNER = Learner(kind=RequestMemory, learn=learn, checkpoint=checkpoint, tuning=TUNING)
