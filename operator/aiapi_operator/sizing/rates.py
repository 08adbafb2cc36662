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
from math import inf
from operator import add, attrgetter, lt, truediv
from typing import NamedTuple

from aiapi_operator.sizing import loop_work, thread_use, tick_histograms, windows
from aiapi_operator.sizing.counters import is_sane
from aiapi_operator.sizing.fleet_samples import FleetSamples
from aiapi_operator.sizing.flows import MIN_SECONDS, NUMBERS, Flows, columns_of, flows_of
from aiapi_operator.sizing.inputs import Fleet, ObjectiveKind, PodSample, PodUnknown
from aiapi_operator.sizing.state import (
    SLOW_WINDOW,
    Column,
    Latencies,
    MergedHistogram,
    State,
    Tick,
)

__all__ = ["FleetSamples", "Measurement", "measure", "validate"]

_NONE: Latencies = ((), ())
_COUNTED = attrgetter("succeeded", "loop_seconds", "worker_seconds")
_POD, _READY = attrgetter("pod"), attrgetter("ready")


def validate(
    fleet: Fleet, *, now: float, interval: float, last: Sequence[PodSample] = ()
) -> FleetSamples:
    """Keeps one sample per pod, and treats stale or invalid samples as unknown."""
    before = {sample.pod: sample for sample in last}
    oldest, newest = now - max(3 * interval, 10.0), now + interval
    pods: Sequence[PodSample | PodUnknown] = fleet.pods
    samples, fresh = _samples(pods, before)
    columns = columns_of(fresh)
    # Check number by number over all pods first: this is fast, and mostly all are valid.
    sane = all(map(is_sane, columns))
    recent = [sample for sample in samples if oldest <= sample.time <= newest]
    doubted = any(_doubt(sample, before.get(sample.pod)) for sample in fresh)
    twice = len({pod.pod for pod in pods}) < len(pods)
    if not sane or doubted or len(recent) < len(samples) or twice:
        pods = _judged(pods, oldest, newest, before)
        samples, fresh = _samples(pods, before)
        columns = columns_of(fresh)
    unknown = tuple([pod for pod in pods if isinstance(pod, PodUnknown) and pod.ready])
    return FleetSamples(
        samples=samples,
        fresh=fresh,
        columns=columns,
        unknown=unknown,
        pods=len(pods),
        ready=len(unknown) + sum(map(_READY, samples)),
    )


def _samples(
    pods: Sequence[PodSample | PodUnknown], before: Mapping[str, PodSample]
) -> tuple[tuple[PodSample, ...], tuple[PodSample, ...]]:
    """The samples, and the fresh ones: the others were checked in an earlier tick."""
    samples = tuple([pod for pod in pods if isinstance(pod, PodSample)])
    fresh = tuple([sample for sample in samples if before.get(sample.pod) is not sample])
    return samples, fresh


def _judged(
    pods: Sequence[PodSample | PodUnknown],
    oldest: float,
    newest: float,
    before: Mapping[str, PodSample],
) -> list[PodSample | PodUnknown]:
    """One report for each pod, in which no sample is stale or invalid."""
    judged: dict[str, PodSample | PodUnknown] = {}
    for pod in pods:
        reason = _fault(pod, oldest, newest)
        if not reason and isinstance(pod, PodSample):
            reason = _doubt(pod, before.get(pod.pod))
        found = PodUnknown(pod=pod.pod, ready=pod.ready, reason=reason) if reason else pod
        judged[pod.pod] = _surer(found, judged[pod.pod]) if pod.pod in judged else found
    return list(judged.values())


def _fault(pod: PodSample | PodUnknown, oldest: float, newest: float) -> str:
    """Why a sample cannot be used, or empty."""
    if isinstance(pod, PodUnknown):
        return ""
    if not oldest <= pod.time <= newest:
        return "stale sample"
    return "" if is_sane(NUMBERS(pod)) else "invalid counters"


def _doubt(sample: PodSample, last: PodSample | None) -> str:
    """Why a new answer cannot follow the last one of the same instance; empty if it can.

    Zero requests were not measured by an answer that is repeated. Counters that go back do so only
    with a restart, which begins a new uptime. For a minute the last good answer stays the one to
    compare with, so that no burst is seen when the counters return.
    """
    if last is None or sample.uptime is None or sample.instance != last.instance:
        return ""
    seconds, before = sample.time - last.time, last.uptime or inf
    if seconds < MIN_SECONDS or sample.uptime < before:
        return ""
    if sample.uptime == before:
        return "its answer is an old one"
    is_back = seconds <= SLOW_WINDOW and any(map(lt, _COUNTED(sample), _COUNTED(last)))
    return "its counters went back" if is_back else ""


def _surer(one: PodSample | PodUnknown, two: PodSample | PodUnknown) -> PodSample | PodUnknown:
    """The one of two reports on a pod to use: silence before an answer, then the later one."""
    if isinstance(one, PodUnknown):
        reason = two.reason if isinstance(two, PodUnknown) else one.reason
        return PodUnknown(pod=one.pod, ready=one.ready or two.ready, reason=reason)
    if isinstance(two, PodUnknown):
        return _surer(two, one)
    return one if one.time > two.time else two


@dataclass(frozen=True, slots=True)
class Measurement:
    """The fleet's rates since the last tick, and the state for the next tick."""

    tick: Tick | None
    samples: tuple[PodSample, ...]
    columns: Sequence[Column]
    merged: Mapping[ObjectiveKind, MergedHistogram]


def measure(
    seen: FleetSamples,
    state: State,
    *,
    now: float,
    kinds: Sequence[ObjectiveKind] = (ObjectiveKind.LATENCY,),
) -> Measurement:
    """The fleet's rates since the last tick, with the histograms of these kinds."""
    before = {sample.pod: sample for sample in state.samples}
    elapsed = 0.0 if state.now is None else now - state.now
    lasts = list(map(before.get, map(_POD, seen.fresh)))
    apart = [
        inf if last is None else sample.time - last.time
        for sample, last in zip(seen.fresh, lasts, strict=True)
    ]
    kept, columns = seen.samples, seen.columns
    if seen.unknown or min(apart, default=inf) < MIN_SECONDS:
        kept, columns = _kept(seen, lasts, apart, state), ()
    elif len(seen.fresh) < len(seen.samples):
        columns = ()
    flows = flows_of(seen, lasts, apart, state, elapsed)
    tick, merged = None, state.merged
    if elapsed >= MIN_SECONDS and any(map(_READY, flows.samples)):
        latencies, merged = tick_histograms.read(flows.samples, flows.before, state, kinds)
        tick = _sum(flows, seen, latencies, seconds=elapsed, now=now)
    return Measurement(tick, kept, columns, merged)


def _kept(
    seen: FleetSamples,
    lasts: Sequence[PodSample | None],
    apart: Sequence[float],
    state: State,
) -> tuple[PodSample, ...]:
    """The samples to measure from next: the last one where the new one is too close to it, or
    where there is none."""
    close = {
        last.pod: last
        for last, seconds in zip(lasts, apart, strict=True)
        if last is not None and seconds < MIN_SECONDS
    }
    kept = [close.get(sample.pod, sample) for sample in seen.samples]
    silent = {pod.pod for pod in seen.unknown} - {sample.pod for sample in kept}
    return (*kept, *(sample for sample in state.samples if sample.pod in silent))


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


def _rates(flows: Flows) -> _Rates:
    seconds = flows.seconds
    *spent, done, client, error, gone, shed, in_flight, queued = flows.counted
    completed = [a + b + c + d for a, b, c, d in zip(done, client, error, gone, strict=True)]
    came = map(add, map(add, completed, shed), map(add, in_flight, queued))
    arrivals, *others = (
        list(map(truediv, counts, seconds)) if any(counts) else counts
        for counts in (list(came), completed, shed, *spent[:4], error, gone, *spent[4:])
    )
    known = _waits_known(flows.samples)
    loop_time, waited, loop_cpu = others[3], *others[-2:]
    others[3] = loop_work.work(loop_time, waited, loop_cpu, known)
    others.append(loop_time)
    return _Rates([max(0.0, rate) for rate in arrivals], *others)


def _waits_known(samples: Sequence[PodSample]) -> list[bool]:
    return [sample.run_queue_seconds is not None for sample in samples]


def _sum(
    flows: Flows,
    seen: FleetSamples,
    latencies: Mapping[ObjectiveKind, Latencies],
    *,
    seconds: float,
    now: float,
) -> Tick:
    takes_traffic = list(map(_READY, flows.samples))
    ready = flows if all(takes_traffic) else flows.where(takes_traffic)
    serving = _rates(ready)
    unknown = seen.ready / len(ready.samples)
    pools, limit = thread_use.measure(
        zip(ready.samples, ready.before, strict=True), ready=seen.ready
    )
    totals = [sum(column) * unknown for column in serving]
    loads = list(map(min, serving.loop, serving.workers))
    heaviest, mean = windows.uneven(loads), sum(loads) / len(loads)
    busiest = _busiest(serving)
    if ready is not flows:
        leaving = _rates(flows.where([not takes for takes in takes_traffic]))
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
        waits_known=all(_waits_known(ready.samples)),
        contended=loop_work.contended(totals[13], totals[11], workers),
        crowded=loop_work.crowded(
            [sample.pod for sample in ready.samples],
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
    return min(1.0, max([loop / workers if workers > 0 else 0.0 for loop, workers in pairs]))
