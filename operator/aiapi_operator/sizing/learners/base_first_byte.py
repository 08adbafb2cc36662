"""Base time to the first byte: its percentile if no request queued for a loop.

It is measured in idle ticks, as in base_latency.py. Between two measurements it does not follow the
upstream time, which is mostly the length of the streams. But it is at most what is measured, and at
least that without all queueing:

    measured - queueing <= b <= measured

Example: b = 190 ms was measured. Now 700 ms are measured, and requests queue for 60 ms: b is at
least 640 ms, so the model answers later than before. At 240 ms it may still be 190 ms, and stays.
"""

from dataclasses import dataclass, replace
from typing import Any

from aiapi_operator.api.duration import format_duration, parse_duration
from aiapi_operator.sizing import capacity, windows
from aiapi_operator.sizing.checkpoint import settled
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.learners import base_latency
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.state import FAST_WINDOW


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFirstByte(BaseLatency):
    """The percentile of the time to the first byte without queueing for a loop, in seconds."""


def base(facts: Facts, objective: LatencyObjective) -> BaseLatency | None:
    """The base for this objective; None if unknown."""
    first = objective.kind is ObjectiveKind.FIRST_BYTE
    return facts.get(BaseFirstByte if first else BaseLatency)


def learn(known: BaseFirstByte | None, facts: Facts) -> BaseFirstByte | None:
    """Measure it in idle ticks, or keep it within what is possible."""
    objective = facts.spec.objective_for(ObjectiveKind.FIRST_BYTE)
    if objective is None:
        return None
    if facts.tick is None or facts.tick.contended:
        return known
    if known is not None and known.percentile != objective.percentile:
        known = None
    if known is not None and facts.now - known.looked < FAST_WINDOW:
        return known
    idle = base_latency.undisturbed(facts.ticks, objective.kind, first=known is None)
    value = base_latency.read(facts, objective, idle)
    if known is None:
        return None if value is None else _first(objective, value, facts.now)
    moved = known.moved
    if value is None:
        value = _within(known.current, facts, objective)
        moved = facts.now if value != known.current else moved
    calm = base_latency.follow(known, value, facts.now)
    now = facts.now
    return replace(known, current=value, calm=calm, time=now, looked=now, moved=moved)


def _first(objective: LatencyObjective, value: float, now: float) -> BaseFirstByte:
    return BaseFirstByte(
        percentile=objective.percentile, current=value, calm=value, time=now, looked=now
    )


def _within(value: float, facts: Facts, objective: LatencyObjective) -> float:
    """``value``, or the nearest value that the measurement allows."""
    measured, service = facts.latency(objective), facts.get(ServiceDemand)
    if measured is None or service is None:
        return value
    queueing = capacity.measured_queueing_delay(
        service.seconds,
        objective,
        arrivals=facts.mean("arrivals"),
        in_flight=facts.mean("in_flight"),
        upstream=max(facts.mean("upstream"), windows.calls_in_threads(facts.recent)),
    )
    return min(measured.seconds, max(value, measured.seconds - queueing))


def checkpoint(known: BaseFirstByte, saved: Saved) -> dict[str, Any]:
    """``baseFirstByte``. Its percentile is ``status.load.firstBytePercentile``."""
    text = format_duration(known.calm)
    return {
        "baseFirstByte": settled(text, saved, "baseFirstByte", parse_duration),
        "firstBytePercentile": f"p{known.percentile:g}",
    }


def restore(saved: Saved) -> BaseFirstByte | None:
    """Read it back."""
    names = ("baseFirstByte", "firstBytePercentile")
    return base_latency.restored(BaseFirstByte, saved, *names)


LEARNER = Learner(kind=BaseFirstByte, learn=learn, checkpoint=checkpoint, restore=restore)
