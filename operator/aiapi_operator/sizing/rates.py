"""From counters to rates: which pods are known, and what the fleet did since the last tick.

A rate is a difference of two samples of one instance, over the time between those two
samples. Worked example, one pod, 2 s apart: 100 -> 150 completed, 4 -> 10 in flight, nothing
shed: 50 / 2 = 25 completed a second, and (50 + 6) / 2 = 28 arrivals a second. What is in
flight came, though it is not done: a saturated fleet completes no more than it can, and only
the requests that pile up show what is asked of it.

Three pods are ready and one did not answer: the other two do 28 and 32 a second, so the
fleet does (28 + 32) x 3/2 = 90. Unknown is never zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter, is_, lt, sub
from typing import NamedTuple

from aiapi_operator.sizing import histogram, limits, windows
from aiapi_operator.sizing.inputs import Fleet, PodSample, PodUnknown
from aiapi_operator.sizing.state import SLOW_WINDOW, Merged, State, Tick

YOUNG = 10.0
"""Seconds. An instance younger than this did all it ever did within the windows."""
SHORTEST = 0.1
"""Seconds. Two samples closer than this say nothing about a rate."""
MOST_SILENT = 0.02
"""Part of the ready pods that may be silent while the fleet shrinks."""
_Latencies = tuple[tuple[float, ...], histogram.Counts]
"""Bounds and counts."""
ABSURD = 1e15
"""No counter of a real pod gets here: 30 million years of seconds, a million rps for 30 years."""

_NAMES = (
    "succeeded",
    "client_errors",
    "server_errors",
    "cancelled",
    "shed",
    "in_flight_seconds",
    "loop_seconds",
    "worker_seconds",
    "upstream_seconds",
    "cpu_seconds",
    "cpu_throttled_seconds",
)
_COUNTERS = attrgetter(*_NAMES)
_NUMBERS = attrgetter(
    *_NAMES,
    "in_flight",
    "accept_queue_depth",
    "workers_wanted",
    "workers_ready",
    "workers_draining",
    "workers_blocked",
    "open_connections",
    "rss_bytes",
    "memory_limit_bytes",
    "worker_limit",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One tick's pods, sifted: ``samples`` can be trusted, ``unknown`` are ready and silent."""

    samples: tuple[PodSample, ...]
    unknown: tuple[PodUnknown, ...]
    pods: int
    ready: int
    """Pods that take traffic, those that did not answer included."""

    @property
    def mostly_known(self) -> bool:
        """So few ready pods are silent that they cannot hide a load: one in fifty at most.

        In a fleet under fifty pods that is none. The silent ones count as the mean of the others,
        and are the last to go and never told to shrink, so they may be wrong by no more than that.
        """
        return len(self.unknown) <= MOST_SILENT * self.ready

    @property
    def blind(self) -> bool:
        """Nothing is known of any pod that takes traffic."""
        return not any(sample.ready for sample in self.samples)

    @property
    def workers_wanted(self) -> int | None:
        """Workers a pod that run now: fresh pods may still be at the template's size."""
        wanted = [s.workers_wanted for s in self.samples if s.ready and s.workers_wanted > 0]
        return max(wanted) if wanted else None


class _Flow(NamedTuple):
    """One pod's rates since its last sample. Not a dataclass: a fleet makes thousands a second."""

    ready: bool
    sample: PodSample
    before: PodSample | None
    rates: tuple[float, ...]


def sift(fleet: Fleet, *, now: float, interval: float) -> Seen:
    """Take each pod once, and doubt what is old or cannot be."""
    oldest = now - max(3 * interval, 10.0)
    pods: dict[str, PodSample | PodUnknown] = {}
    for pod in fleet.pods:
        judged = _judge(pod, oldest=oldest, newest=now + interval)
        other = pods.get(pod.pod)
        pods[pod.pod] = judged if other is None else _surer(judged, other)
    samples = tuple(pod for pod in pods.values() if isinstance(pod, PodSample))
    unknown = tuple(pod for pod in pods.values() if isinstance(pod, PodUnknown) and pod.ready)
    return Seen(
        samples=samples,
        unknown=unknown,
        pods=len(pods),
        ready=len(unknown) + sum(sample.ready for sample in samples),
    )


def _judge(pod: PodSample | PodUnknown, *, oldest: float, newest: float) -> PodSample | PodUnknown:
    if isinstance(pod, PodUnknown):
        return pod
    if not oldest <= pod.time <= newest:
        return PodUnknown(pod=pod.pod, ready=pod.ready, reason="its sample is out of date")
    if not _sane(_NUMBERS(pod)):
        return PodUnknown(pod=pod.pod, ready=pod.ready, reason="its counters make no sense")
    return pod


def _sane(values: Sequence[float]) -> bool:
    # Three passes in C beat one in Python. NaN hides from min and max, but not from a sum.
    return not values or (min(values) >= 0 and max(values) <= ABSURD and sum(values) >= 0)


def _surer(one: PodSample | PodUnknown, two: PodSample | PodUnknown) -> PodSample | PodUnknown:
    """Of two reports on one pod: silence counts more than an answer, then the later one."""
    if isinstance(two, PodUnknown) or isinstance(one, PodUnknown):
        silent = two if isinstance(two, PodUnknown) else one
        ready = one.ready or two.ready
        return PodUnknown(pod=one.pod, ready=ready, reason=getattr(silent, "reason", ""))
    return one if one.time > two.time else two


@dataclass(frozen=True, slots=True)
class Measured:
    """The fleet's rates since the last tick, and what the next tick starts from."""

    tick: Tick | None
    samples: tuple[PodSample, ...]
    merged: Merged


def measure(seen: Seen, state: State, *, now: float) -> Measured:
    """The fleet's rates since the last tick."""
    before = {sample.pod: sample for sample in state.samples}
    elapsed = 0.0 if state.now is None else now - state.now
    flows = []
    kept = []
    for sample in seen.samples:
        last = before.get(sample.pod)
        if last is not None and sample.time - last.time < SHORTEST:
            kept.append(last)
            continue
        kept.append(sample)
        flow = _flow(sample, last, elapsed)
        if flow is not None:
            flows.append(flow)
    tick, merged = None, state.merged
    if elapsed >= SHORTEST and any(flow.ready for flow in flows):
        latencies, merged = _latencies(flows, state)
        tick = _sum(flows, seen, latencies, seconds=elapsed, now=now)
    names = {sample.pod for sample in kept}
    silent = {pod.pod for pod in seen.unknown} - names
    kept += [sample for sample in state.samples if sample.pod in silent]
    return Measured(tick, tuple(kept), merged)


def _flow(sample: PodSample, last: PodSample | None, elapsed: float) -> _Flow | None:
    after = _COUNTERS(sample)
    if last is not None and last.instance == sample.instance:
        counted = tuple(map(sub, after, _COUNTERS(last)))
        if min(counted) >= 0:
            seconds = sample.time - last.time
            if seconds > SLOW_WINDOW:
                return None
            queued = _queue(sample) - _queue(last)
            rates = _rates(counted, queued, seconds)
            return _Flow(sample.ready, sample, last, rates)
    # A new instance: its counters began at zero, about as long ago as its workers are old.
    workers = max(1, sample.workers_ready + sample.workers_draining)
    age = max(elapsed, sample.worker_seconds / workers)
    if not SHORTEST <= age <= YOUNG:
        return None
    return _Flow(sample.ready, sample, None, _rates(after, _queue(sample), age))


def _queue(sample: PodSample) -> int:
    return sample.in_flight + sample.accept_queue_depth


def _rates(counted: Sequence[float], queued: float, seconds: float) -> tuple[float, ...]:
    """Arrivals, completed, shed, in flight, loop, workers, upstream, then server errors,
    cancelled, CPU and throttled, each a second."""
    completed = counted[0] + counted[1] + counted[2] + counted[3]
    return (
        max(0.0, (completed + counted[4] + queued) / seconds),
        completed / seconds,
        counted[4] / seconds,
        counted[5] / seconds,
        counted[6] / seconds,
        counted[7] / seconds,
        counted[8] / seconds,
        counted[2] / seconds,
        counted[3] / seconds,
        counted[9] / seconds,
        counted[10] / seconds,
    )


def _sum(
    flows: list[_Flow], seen: Seen, latencies: _Latencies, *, seconds: float, now: float
) -> Tick:
    serving = [flow.rates for flow in flows if flow.ready]
    unknown = seen.ready / len(serving)
    pools, limit = limits.measure(
        ((flow.sample, flow.before) for flow in flows if flow.ready), ready=seen.ready
    )
    leaving = [flow.rates for flow in flows if not flow.ready]
    totals = [sum(column) * unknown for column in zip(*serving, strict=True)]
    if leaving:
        totals = [a + sum(b) for a, b in zip(totals, zip(*leaving, strict=True), strict=True)]
    arrivals, completed, shed, in_flight, loop, workers, upstream = totals[:7]
    return Tick(
        time=now,
        seconds=min(SLOW_WINDOW, seconds),
        arrivals=arrivals,
        completed=completed,
        shed=shed,
        in_flight=in_flight,
        loop=min(loop, workers),
        workers=workers,
        busiest=max(_utilization(flow.rates) for flow in flows),
        heaviest=windows.uneven([min(rates[4], rates[5]) for rates in serving]),
        upstream=min(upstream, in_flight),
        server_errors=totals[7],
        cancelled=totals[8],
        cpu=totals[9],
        throttled=max(rates[10] for rates in serving),
        bounds=latencies[0],
        counts=latencies[1],
        worker_limit=limit,
        threads=pools,
    )


def _utilization(rates: tuple[float, ...]) -> float:
    return min(1.0, rates[4] / rates[5]) if rates[5] > 0 else 0.0


def _latencies(flows: list[_Flow], state: State) -> tuple[_Latencies, Merged]:
    """Latencies of this tick, over the pods that have the same bounds.

    During a roll-out from one set of bounds to another the old set counts as long as any
    pod has it: two sets cannot be added.
    """
    bounds = state.ticks[-1].bounds if state.ticks else ()
    if not any(flow.sample.latency.bounds == bounds for flow in flows):
        bounds = flows[0].sample.latency.bounds
    size = len(bounds) + 1
    now, past = [], []
    for _, sample, before, _ in flows:
        after = sample.latency
        if after.bounds != bounds or (before is not None and before.latency.bounds != bounds):
            continue
        if len(after.counts) == size:
            now.append(after.counts)
        if before is not None and len(before.latency.counts) == size:
            past.append(before.latency.counts)
    if not now or not _ascending(bounds):
        return (bounds, ()), Merged()
    merged = Merged(parts=tuple(now), counts=histogram.merge(now))
    counts = histogram.difference(merged.counts, _merge(past, state.merged) or (0,) * size)
    return (bounds, counts if counts is not None and _sane(counts) else ()), merged


def _merge(parts: list[histogram.Counts], known: Merged) -> histogram.Counts:
    """Add them, unless that was done a tick ago: it takes most of a large fleet's time."""
    if len(parts) == len(known.parts) and all(map(is_, parts, known.parts)):
        return known.counts
    return histogram.merge(parts)


def _ascending(bounds: tuple[float, ...]) -> bool:
    return bool(bounds) and _sane(bounds) and all(map(lt, bounds, bounds[1:]))
