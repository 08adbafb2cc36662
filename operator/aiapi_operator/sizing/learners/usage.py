"""Usage: worker and pod time since the start of observation, and the fleet that the served load
needed.

The static fleet to compare savings with carries the busiest minute of *answered* requests:

    answered per second x c / rho*: 600 x 20 ms / 0.8 = 15 workers

A need that was not real (a retry storm, an error of this operator) answers no requests, so it does
not raise the baseline.

A fleet that is too small is cheap, so the time in which it fails is counted as well: the percentile
is over the objective for 6 s, or requests are failing, until neither was the case for a minute. Of
3,600 s with 180 s of that, 5 % are ``missed``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from aiapi_operator.sizing import latch, plan, windows
from aiapi_operator.sizing.checkpoint import number
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.failed_requests import FailedRequests
from aiapi_operator.sizing.learners.need_history import EVERY
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.learners.utilization import target
from aiapi_operator.sizing.learners.worker_use import WorkerUse, priced
from aiapi_operator.sizing.plan import FULL, RequiredWorkers
from aiapi_operator.sizing.state import FAST_WINDOW, SLOW_WINDOW, Latch, Size, Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Totals, and the cheapest fleet for the busiest minute of answered requests."""

    seconds: float = 0.0
    worker_seconds: float = 0.0
    pod_seconds: float = 0.0
    missed_seconds: float = 0.0
    """Seconds in which the objective was missed or requests failed."""
    peak: Size | None = None
    looked: float = -inf
    """When the answered requests were looked at last."""
    missing: Latch = field(default_factory=Latch)
    """Whether the latency objective is missed now."""


def learn(known: Usage | None, facts: Facts) -> Usage:
    """Add the time since the previous tick."""
    known = known or Usage()
    missing = _missing(known.missing, facts)
    looks = facts.now - known.looked >= EVERY
    size = Size(workers=0, replicas=0) if facts.last is None else facts.last.size
    elapsed = 0.0 if facts.last is None else facts.elapsed
    return Usage(
        seconds=known.seconds + elapsed,
        worker_seconds=known.worker_seconds + elapsed * size.total,
        pod_seconds=known.pod_seconds + elapsed * size.replicas,
        missed_seconds=known.missed_seconds + (elapsed if fails(missing, facts.memory) else 0.0),
        peak=_peak(known.peak, facts) if looks else known.peak,
        looked=facts.now if looks else known.looked,
        missing=missing,
    )


def asleep(known: Usage | None, seconds: float) -> Usage:
    """Add time without a pod: it costs nothing, and no objective is missed in it."""
    known = known or Usage()
    return replace(known, seconds=known.seconds + max(0.0, seconds))


def fails(missing: Latch, memory: Mapping[type, Any]) -> bool:
    """Whether the latency objective is missed or requests are failing."""
    failed = memory.get(FailedRequests)
    return missing.on or (failed is not None and failed.latch.on)


def _peak(known: Size | None, facts: Facts) -> Size | None:
    """The more expensive one of the known fleet and that for the last minute."""
    served = _served(facts)
    if served is None or known is None:
        return served or known
    spec = priced(facts.spec, facts.get(WorkerUse))
    return served if plan.hourly_cost(spec, served) > plan.hourly_cost(spec, known) else known


def _missing(known: Latch, facts: Facts) -> Latch:
    """Whether a percentile is over the threshold of its objective."""
    pairs = [(each, facts.latency(each)) for each in facts.spec.objectives]
    found = [latency.seconds > each.threshold for each, latency in pairs if latency is not None]
    if found:
        finding = any(found)
    elif facts.known and windows.mean(facts.ticks, "arrivals") == 0:
        finding = False
    else:
        return known
    return latch.update(known, finding, now=facts.now, on_after=FAST_WINDOW, off_after=SLOW_WINDOW)


def _served(facts: Facts) -> Size | None:
    """The cheapest fleet for the answered requests of the last minute."""
    service = facts.get(ServiceDemand)
    if service is None or not service.confident or facts.tick is None:
        return None
    if windows.span(facts.ticks) < 0.9 * SLOW_WINDOW:
        return None
    busy = _answered(facts.ticks) * service.seconds
    need = RequiredWorkers(busy / target(facts).utilization, busy / FULL)
    return plan.cheapest(facts.spec, need)


def _answered(ticks: Sequence[Tick]) -> float:
    good = sum(
        tick.seconds * max(0.0, tick.completed - tick.server_errors - tick.cancelled)
        for tick in ticks
    )
    return good / windows.span(ticks)


def checkpoint(known: Usage, _: Saved) -> dict[str, Any]:
    """The totals. The engine writes them as seldom as it can: see engine/checkpoint.py."""
    fields: dict[str, Any] = {
        "observedSeconds": int(known.seconds),
        "workerSeconds": int(known.worker_seconds),
        "podSeconds": int(known.pod_seconds),
        "missedSeconds": int(known.missed_seconds),
    }
    if known.peak is not None:
        fields |= {"peakWorkers": known.peak.workers, "peakReplicas": known.peak.replicas}
    return fields


def restore(saved: Saved) -> Usage | None:
    """Read them back."""
    peak = Size(
        workers=int(number(saved.get("peakWorkers"))),
        replicas=int(number(saved.get("peakReplicas"))),
    )
    return Usage(
        seconds=number(saved.get("observedSeconds")),
        worker_seconds=number(saved.get("workerSeconds")),
        pod_seconds=number(saved.get("podSeconds")),
        missed_seconds=number(saved.get("missedSeconds")),
        peak=peak if peak.total > 0 else None,
    )


LEARNER = Learner(kind=Usage, learn=learn, checkpoint=checkpoint, restore=restore)
