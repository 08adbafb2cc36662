"""Turns counters into rates: which pods are known, and the fleet's rates since the last tick.

A rate is the difference of two samples of one instance, over the time between them. Example, one
pod, 2 s apart: 100 -> 150 completed, 4 -> 10 in flight, nothing shed: 50 / 2 = 25 completed per
second, and (50 + 6) / 2 = 28 arrivals per second. Requests in flight have arrived although they are
not complete: a saturated fleet completes no more than it can, and only the backlog shows the actual
demand.

Three pods are ready and one did not answer: the other two have 28 and 32 rps, so the fleet has (28
+ 32) x 3/2 = 90. Unknown is never zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf
from operator import add, attrgetter, lt, sub, truediv
from typing import NamedTuple

from aiapi_operator.sizing import loop_work, thread_use, tick_histograms, windows
from aiapi_operator.sizing.counters import is_sane
from aiapi_operator.sizing.inputs import Fleet, ObjectiveKind, PodSample, PodUnknown
from aiapi_operator.sizing.state import (
    SLOW_WINDOW,
    Latencies,
    MergedHistogram,
    ParsedSample,
    State,
    Tick,
)

MAX_NEW_INSTANCE_AGE = 10.0
"""Seconds since the start up to which an instance is new. Its counters then began within the
windows."""
MIN_SECONDS = 0.1
"""Seconds between two samples for a rate. A twentieth of the default interval."""
MAX_SILENT_SHARE = 0.02
"""Share of the ready pods that may be silent while the fleet scales down. They count as the mean of
the others, so they may hide no more than that."""

REPEATED = "its answer is an old one"

_NAMES = (
    # Counters of seconds,
    "in_flight_seconds",
    "loop_seconds",
    "worker_seconds",
    "upstream_seconds",
    "cpu_seconds",
    "cpu_throttled_seconds",
    "waited_seconds",
    "least_loop_seconds",
    # then of requests,
    "succeeded",
    "client_errors",
    "server_errors",
    "cancelled",
    "shed",
    # then gauges.
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
_NUMBERS = attrgetter(*_NAMES)
_COUNTERS = 13
_DIFFERENCES = _COUNTERS + 2
"""Numbers whose difference is used: the counters, and requests in flight and queued."""
_NOTHING = (0,) * len(_NAMES)
_NONE: Latencies = ((), ())


@dataclass(frozen=True, slots=True)
class FleetSamples:
    """The validated pods of one tick: ``samples`` are usable, ``unknown`` are ready but silent."""

    samples: tuple[PodSample, ...]
    known: tuple[ParsedSample, ...]
    """The samples with their numbers."""
    unknown: tuple[PodUnknown, ...]
    pods: int
    ready: int
    """Pods that take traffic, including those that did not answer."""

    @property
    def mostly_known(self) -> bool:
        """Whether so few ready pods are silent that they cannot hide a load: at most one in fifty.

        In a fleet under fifty pods that is none. Silent pods count as the mean of the others, are
        removed last and never get fewer workers, so they may differ by no more than that.
        """
        return len(self.unknown) <= MAX_SILENT_SHARE * self.ready

    @property
    def all_unknown(self) -> bool:
        """Whether no pod that takes traffic has a usable sample."""
        return not any(sample.ready for sample in self.samples)

    @property
    def workers_wanted(self) -> int | None:
        """Workers per pod that run now: new pods may still be at the template's size."""
        wanted = [s.workers_wanted for s in self.samples if s.ready and s.workers_wanted > 0]
        return max(wanted) if wanted else None


_Flow = tuple[ParsedSample, ParsedSample | None, float]
"""One pod's samples now and before, and the seconds between them; None for a new pod.

Plain tuples, here and in ``ParsedSample``: a large fleet creates thousands per second.
"""


def validate(
    fleet: Fleet, *, now: float, interval: float, last: Sequence[ParsedSample] = ()
) -> FleetSamples:
    """Keeps one sample per pod, and treats stale or invalid samples as unknown."""
    oldest, newest = now - max(3 * interval, 10.0), now + interval
    before = {sample.pod: sample for sample, _ in last}
    pods: dict[str, ParsedSample | PodUnknown] = {}
    numbers = [_NUMBERS(pod) for pod in fleet.pods if isinstance(pod, PodSample)]
    # Check number by number over all pods first: this is fast, and mostly all are valid.
    all_sane, following = all(map(is_sane, zip(*numbers, strict=True))), iter(numbers)
    for pod in fleet.pods:
        judged = (
            _judge((pod, next(following)), oldest, newest, sane=all_sane)
            if isinstance(pod, PodSample)
            else pod
        )
        name = pod.pod
        if isinstance(judged, tuple) and _is_repeated(judged[0], before.get(name)):
            judged = PodUnknown(pod=name, ready=pod.ready, reason=REPEATED)
        pods[name] = _surer(judged, pods[name]) if name in pods else judged
    known = tuple(pod for pod in pods.values() if isinstance(pod, tuple))
    unknown = tuple(pod for pod in pods.values() if isinstance(pod, PodUnknown) and pod.ready)
    samples = tuple(sample for sample, _ in known)
    return FleetSamples(
        samples=samples,
        known=known,
        unknown=unknown,
        pods=len(pods),
        ready=len(unknown) + sum(sample.ready for sample in samples),
    )


def _judge(
    known: ParsedSample, oldest: float, newest: float, *, sane: bool
) -> ParsedSample | PodUnknown:
    pod, numbers = known
    if not oldest <= pod.time <= newest:
        return PodUnknown(pod=pod.pod, ready=pod.ready, reason="stale sample")
    if not (sane or is_sane(numbers)):
        return PodUnknown(pod=pod.pod, ready=pod.ready, reason="invalid counters")
    return known


def _is_repeated(sample: PodSample, last: PodSample | None) -> bool:
    """Whether a new answer is the last one again: its zero requests were not measured."""
    if last is None or sample.uptime is None or sample.uptime != last.uptime:
        return False
    return sample.instance == last.instance and sample.time - last.time >= MIN_SECONDS


def _surer(
    one: ParsedSample | PodUnknown, two: ParsedSample | PodUnknown
) -> ParsedSample | PodUnknown:
    """The one of two reports on a pod to use: silence before an answer, then the later one."""
    if isinstance(one, PodUnknown):
        other = two if isinstance(two, PodUnknown) else two[0]
        reason = two.reason if isinstance(two, PodUnknown) else one.reason
        return PodUnknown(pod=one.pod, ready=one.ready or other.ready, reason=reason)
    if isinstance(two, PodUnknown):
        return _surer(two, one)
    return one if one[0].time > two[0].time else two


@dataclass(frozen=True, slots=True)
class Measurement:
    """The fleet's rates since the last tick, and the state for the next tick."""

    tick: Tick | None
    samples: tuple[ParsedSample, ...]
    merged: Mapping[ObjectiveKind, MergedHistogram]


def measure(
    seen: FleetSamples,
    state: State,
    *,
    now: float,
    kinds: Sequence[ObjectiveKind] = (ObjectiveKind.LATENCY,),
) -> Measurement:
    """The fleet's rates since the last tick, with the histograms of these kinds."""
    before = {known[0].pod: known for known in state.samples}
    elapsed = 0.0 if state.now is None else now - state.now
    flows = []
    kept = []
    for known in seen.known:
        last = before.get(known[0].pod)
        if last is not None and known[0].time - last[0].time < MIN_SECONDS:
            kept.append(last)
            continue
        kept.append(known)
        flow = _flow(known, last, elapsed)
        if flow is not None:
            flows.append(flow)
    tick, merged = None, state.merged
    if elapsed >= MIN_SECONDS and any(sample.ready for (sample, _), _, _ in flows):
        pairs = [(sample, last and last[0]) for (sample, _), last, _ in flows]
        latencies, merged = tick_histograms.read(pairs, state, kinds)
        tick = _sum(flows, seen, latencies, seconds=elapsed, now=now)
    if seen.unknown:
        names = {sample.pod for sample, _ in kept}
        silent = {pod.pod for pod in seen.unknown} - names
        kept += [known for known in state.samples if known[0].pod in silent]
    return Measurement(tick, tuple(kept), merged)


def _flow(known: ParsedSample, last: ParsedSample | None, elapsed: float) -> _Flow | None:
    sample, numbers = known
    if last is not None and last[0].instance == sample.instance:
        went_back = any(map(lt, numbers[:_COUNTERS], last[1]))
        seconds = sample.time - last[0].time
        if not went_back:
            return (known, last, seconds) if seconds <= SLOW_WINDOW else None
        if (sample.uptime or 0.0) > (last[0].uptime or inf):
            return None  # it has not restarted, so its numbers are wrong
    # A new instance: its counters started at zero, about when its workers started.
    workers = max(1, sample.workers_ready + sample.workers_draining)
    age = max(elapsed, sample.worker_seconds / workers)
    return (known, None, age) if MIN_SECONDS <= age <= MAX_NEW_INSTANCE_AGE else None


class _Rates(NamedTuple):
    """Rates per second of some pods; each list has one entry per pod."""

    arrivals: list[float]
    completed: list[float]
    shed: list[float]
    in_flight: list[float]
    loop: list[float]
    workers: list[float]
    upstream: list[float]
    server_errors: list[float]
    cancelled: list[float]
    cpu: list[float]
    throttled: list[float]
    waited: list[float]
    loop_cpu: list[float]
    loop_time: list[float]
    """``loop`` with the time for which loops waited for a CPU."""


def _rates(flows: list[_Flow]) -> _Rates:
    """Computes counter by counter, not pod by pod, so that large fleets are summed in C."""
    seconds = [length for _, _, length in flows]
    now = zip(*(numbers for (_, numbers), _, _ in flows), strict=True)
    before = zip(*(_NOTHING if last is None else last[1] for _, last, _ in flows), strict=True)
    columns = islice(zip(now, before, strict=True), _DIFFERENCES)
    counted = [list(map(sub, *column)) for column in columns]
    *spent, done, client, error, gone, shed, in_flight, queued = counted
    completed = [a + b + c + d for a, b, c, d in zip(done, client, error, gone, strict=True)]
    more = map(add, in_flight, queued)
    came = map(add, map(add, completed, shed), more)
    arrivals, *others = (
        list(map(truediv, counts, seconds))
        for counts in (came, completed, shed, *spent[:4], error, gone, *spent[4:])
    )
    known = [sample.run_queue_seconds is not None for (sample, _), _, _ in flows]
    loop_time, waited, loop_cpu = others[3], *others[-2:]
    others[3] = loop_work.work(loop_time, waited, loop_cpu, known)
    others.append(loop_time)
    return _Rates([max(0.0, rate) for rate in arrivals], *others)


def _sum(
    flows: list[_Flow],
    seen: FleetSamples,
    latencies: Mapping[ObjectiveKind, Latencies],
    *,
    seconds: float,
    now: float,
) -> Tick:
    ready = [flow for flow in flows if flow[0][0].ready]
    serving = _rates(ready)
    unknown = seen.ready / len(ready)
    pools, limit = thread_use.measure(
        ((sample, last and last[0]) for (sample, _), last, _ in ready), ready=seen.ready
    )
    totals = [sum(column) * unknown for column in serving]
    loads = list(map(min, serving.loop, serving.workers))
    heaviest, mean = windows.uneven(loads), sum(loads) / len(loads)
    busiest = _busiest(serving)
    if len(ready) < len(flows):
        leaving = _rates([flow for flow in flows if not flow[0][0].ready])
        totals = [total + sum(column) for total, column in zip(totals, leaving, strict=True)]
        busiest = max(busiest, _busiest(leaving))
    arrivals, completed, shed, in_flight, loop, workers, upstream = totals[:7]
    bounds, counts = latencies.get(ObjectiveKind.LATENCY, _NONE)
    return Tick(
        time=now,
        seconds=min(SLOW_WINDOW, seconds),
        arrivals=arrivals,
        completed=completed,
        shed=shed,
        in_flight=in_flight,
        loop=min(loop, workers),
        workers=workers,
        busiest=busiest,
        heaviest=heaviest,
        uneven=heaviest / mean if mean > 0 else 1.0,
        upstream=min(upstream, in_flight),
        server_errors=totals[7],
        cancelled=totals[8],
        cpu=totals[9],
        throttled=max(serving.throttled),
        waited=totals[11],
        waits_known=all(sample.run_queue_seconds is not None for (sample, _), _, _ in ready),
        contended=loop_work.contended(totals[13], totals[11], workers),
        crowded=loop_work.crowded(
            [sample.pod for (sample, _), _, _ in ready],
            serving.loop_time,
            serving.waited,
            serving.workers,
        ),
        bounds=bounds,
        counts=counts,
        first_byte=latencies.get(ObjectiveKind.FIRST_BYTE, _NONE),
        worker_limit=limit,
        threads=pools,
    )


def _busiest(rates: _Rates) -> float:
    """Loop utilization of the busiest pod."""
    pairs = zip(rates.loop, rates.workers, strict=True)
    return max(min(1.0, loop / workers) if workers > 0 else 0.0 for loop, workers in pairs)
