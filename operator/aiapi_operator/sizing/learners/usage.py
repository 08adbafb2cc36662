"""Usage: worker and pod time since the start of observation, and the fleet that the served load
needed.

The static fleet to compare savings with carries the busiest minute of *answered* requests:

    answered per second x c / rho*

A need that was not real (a retry storm, an error of this operator) answers no requests, so it does
not raise the baseline.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from aiapi_operator.sizing import plan, windows
from aiapi_operator.sizing.checkpoint import number
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.learners.utilization import target
from aiapi_operator.sizing.learners.worker_use import WorkerUse, priced
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.state import SLOW_WINDOW, Size, Tick

EVERY = 10.0
"""Seconds between two evaluations. The last minute changes little in between."""
FULL = 0.95
"""Utilization allowed while a pod is lost. As in needs/loop.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Totals, and the cheapest fleet for the busiest minute of answered requests."""

    seconds: float = 0.0
    worker_seconds: float = 0.0
    pod_seconds: float = 0.0
    peak: Size | None = None
    looked: float = -inf
    """When the answered requests were looked at last."""


def learn(known: Usage | None, facts: Facts) -> Usage:
    """Add the time since the previous tick."""
    known = known or Usage()
    if facts.last is not None:
        size = facts.last.size
        known = replace(
            known,
            seconds=known.seconds + facts.elapsed,
            worker_seconds=known.worker_seconds + facts.elapsed * size.total,
            pod_seconds=known.pod_seconds + facts.elapsed * size.replicas,
        )
    if facts.now - known.looked < EVERY:
        return known
    known, served = replace(known, looked=facts.now), _served(facts)
    if served is None:
        return known
    spec = priced(facts.spec, facts.get(WorkerUse))
    if known.peak is None or plan.hourly_cost(spec, served) > plan.hourly_cost(spec, known.peak):
        return replace(known, peak=served)
    return known


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
    """The totals. The engine writes them at most once an hour unless the peak changed."""
    fields: dict[str, Any] = {
        "observedSeconds": int(known.seconds),
        "workerSeconds": int(known.worker_seconds),
        "podSeconds": int(known.pod_seconds),
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
        peak=peak if peak.total > 0 else None,
    )


LEARNER = Learner(kind=Usage, learn=learn, checkpoint=checkpoint, restore=restore)
