"""Memory of requests in flight: if pods have a memory limit, it limits how many requests they hold.

The resident memory of a worker is recorded by its requests in flight, in bins that double (0, 1,
2-3, 4-7, ...). A bin keeps the minimum, because allocators return memory late or never; the minimum
rises slowly, over ten minutes, so that a change is learned. The median slope between bins
is the memory of a request, and the intercept is the memory of the worker itself.

    100 MiB at 0 in flight, 110 at 100, 150 at 500: 0.1 MiB per request
    limit 512 MiB per pod, 2 workers: (0.8 x 512 - 2 x 100) / 0.1 = 2,096 requests per pod
    6,000 in flight are expected: 3 pods

Workers of a pod share its limit, so this needs more pods, not more workers. Without a limit there
is no need.
"""

from collections.abc import Sequence
from itertools import combinations
from math import ceil
from statistics import median

from aiapi_operator.sizing.inputs import PodSample
from aiapi_operator.sizing.state import MemoryBin, RequestMemory, WorkerMemory

FULL_SHARE = 0.8
LEAK = 600.0
MIN_BINS = 3
MIN_SAMPLES_PER_BIN = 5
MIN_SPAN = 20.0
"""Difference in requests in flight per worker between the emptiest and the fullest bin."""
SAMPLES = 20


def learn(known: WorkerMemory, samples: Sequence[PodSample], *, seconds: float) -> WorkerMemory:
    """The state updated with the samples of this tick."""
    limited = [s for s in samples if s.memory_limit_bytes > 0 and s.ready and s.workers_ready > 0]
    if not limited:
        return WorkerMemory()
    bins = {each.bin: each for each in known.bins}
    rise = max(0.0, seconds) / LEAK
    for sample in limited[:: max(1, len(limited) // SAMPLES)]:
        workers = sample.workers_ready + sample.workers_draining
        in_flight, rss = sample.in_flight / workers, sample.rss_bytes / workers
        number = int(in_flight).bit_length()
        old = bins.get(number)
        if old is None:
            bins[number] = MemoryBin(bin=number, in_flight=in_flight, rss=rss, seen=1)
        elif rss <= old.rss * (1 + rise):
            seen = min(old.seen + 1, 1000)
            bins[number] = MemoryBin(bin=number, in_flight=in_flight, rss=rss, seen=seen)
        else:
            seen = min(old.seen + 1, 1000)
            rss = old.rss * (1 + rise)
            bins[number] = MemoryBin(bin=number, in_flight=old.in_flight, rss=rss, seen=seen)
    found = tuple(bins[number] for number in sorted(bins))
    return WorkerMemory(bins=found, request=_fit(found) or known.request)


def _fit(bins: tuple[MemoryBin, ...]) -> RequestMemory | None:
    points = [(each.in_flight, each.rss) for each in bins if each.seen >= MIN_SAMPLES_PER_BIN]
    if len(points) < MIN_BINS or points[-1][0] - points[0][0] < MIN_SPAN:
        return None
    slopes = [
        (high[1] - low[1]) / (high[0] - low[0])
        for low, high in combinations(points, 2)
        if high[0] > low[0]
    ]
    each = median(slopes) if slopes else 0.0
    if each <= 0:
        return None
    worker = median(rss - each * in_flight for in_flight, rss in points)
    return RequestMemory(bytes=each, worker=max(0.0, worker))


def pods(
    known: WorkerMemory, samples: Sequence[PodSample], *, in_flight: float, workers: int
) -> int:
    """Pods with ``workers`` each that can hold ``in_flight`` requests; 0 if any number can."""
    limits = [sample.memory_limit_bytes for sample in samples if sample.memory_limit_bytes > 0]
    if known.request is None or not limits:
        return 0
    room = FULL_SHARE * min(limits) - workers * known.request.worker
    if room <= 0:
        # The workers alone fill the limit: more pods do not help.
        return 0
    return ceil(min(1e6, in_flight * known.request.bytes / room) - 1e-9)
