"""Queueing q: how much longer requests queue for loops than in the model of capacity.py.

It is measured over 30 s whenever loops are about as busy as planned:

    q = (measured percentile - base latency) / (k x rho / (1 - rho))

Example: c = 20 ms at p95, so k = 60 ms. At rho = 0.74 the percentile is 780 ms, and the base is 530
ms: q = 250 / (60 x 2.85) = 1.46. Two visits to the loop, before and after an upstream call, make
about 1.5, which is the initial value.

q is the running mean of the readings over at most five minutes of full load. Readings at less busy
loops weigh less; a reading with a missed objective weighs three times. Half of all minutes are
worse than the mean, so the plan uses q x (1 + sigma), where sigma is the spread of the readings:
0.05 in a large, steady fleet, and 0.3 in a fleet of six workers.

Not used: ticks in which loops are full and the 6 s after them, because these show a backlog, and a
latency that upstreams alone explain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any

from aiapi_operator.sizing import capacity, histogram, windows
from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.checkpoint import number, settled
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.learners.base_first_byte import base as base_for
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.failures import failing
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.state import FAST_WINDOW, SLOW_WINDOW, Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueingTuning:
    """Numbers of this learner."""

    full: float = 0.92
    """Utilization of a tick from which there is a backlog. Chosen: above any planned one."""
    lowest: float = 0.5
    """Factor of the lowest valid reading. Below it the base latency is wrong."""
    highest: float = 3.0
    """Factor of the highest valid reading. Above it the base latency is wrong."""
    remembers: float = 300.0
    """Seconds of full load that the mean covers. Chosen: fifty readings."""
    missed: float = 3.0
    """Weight of a reading with a missed objective. Chosen: such readings are rare and matter
    most."""
    beyond: float = 1.5
    """Factor on the planned rho / (1 - rho) up to which loops are about as busy as planned. Chosen:
    the model is poor near saturation."""


TUNING = QueueingTuning()
READING = SLOW_WINDOW / 2
"""Seconds of a reading: half of the minute in which an objective is evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queueing:
    """The factor q, and the variance of its readings relative to it."""

    factor: float = capacity.VISITS
    variance: float = 0.04
    seconds: float = 20.0
    """Seconds of full load it is learned from. The initial value counts for 20."""
    time: float = -inf
    learned: bool = False


def planned(facts: Facts) -> float:
    """q with its margin, for the utilization target."""
    known = facts.get(Queueing) or Queueing()
    return known.factor * (1 + sqrt(known.variance))


def learn(known: Queueing | None, facts: Facts) -> Queueing:
    """Add a reading of the last 30 s, if they are suitable."""
    known = known or Queueing()
    if facts.tick is None or facts.now - known.time < FAST_WINDOW:
        return known
    known = replace(known, time=facts.now)
    service, target = facts.get(ServiceDemand), facts.get(UtilizationTarget)
    if service is None or target is None or failing(facts):
        return known
    objective = target.objective
    if objective is None or objective not in facts.spec.objectives:
        objective = facts.spec.objective
    base = base_for(facts, objective)
    if base is None or base.current > 0.9 * objective.threshold:
        return known
    return _read(known, facts, _Basis(objective, base, service, target.utilization))


@dataclass(frozen=True, slots=True)
class _Basis:
    """What a reading is compared with. The objective is the one that rho* is for."""

    objective: LatencyObjective
    base: BaseLatency
    service: ServiceDemand
    planned_rho: float


def _read(known: Queueing, facts: Facts, basis: _Basis) -> Queueing:
    objective, base, service = basis.objective, basis.base, basis.service
    since = min(READING, facts.now - base.moved)
    calm = _calm(windows.last(facts.ticks, now=facts.now, seconds=since), objective.kind)
    if not calm or windows.span(calm) < 0.7 * READING:
        return known
    read = histogram.percentile(*windows.latencies(calm, objective.kind), objective.percentile)
    busy, full = _busy(calm), basis.planned_rho / (1 - basis.planned_rho)
    unit = capacity.tail(service.seconds, objective) * busy
    if read is None or unit <= 0 or busy > TUNING.beyond * full:
        return known
    missed = read.seconds > objective.threshold
    if missed and _upstreams_explain(facts, basis, read.seconds):
        return known
    found = (read.seconds - base.current) / unit
    found = min(TUNING.highest, max(TUNING.lowest, found))
    weight = min(1.0, (busy / full) ** 2)
    if found > known.factor and missed:
        weight *= TUNING.missed
    return _add(known, found, weight * FAST_WINDOW)


def _upstreams_explain(facts: Facts, basis: _Basis, latency: float) -> bool:
    """Whether the objective would be missed without the measured queueing at loops, too."""
    delay = capacity.measured_queueing_delay(
        basis.service.seconds,
        basis.objective,
        arrivals=facts.mean("arrivals"),
        in_flight=facts.mean("in_flight"),
        upstream=max(facts.mean("upstream"), windows.calls_in_threads(facts.recent)),
    )
    return latency - delay > basis.objective.threshold


def _add(known: Queueing, found: float, seconds: float) -> Queueing:
    """The running mean and variance, with a reading that counts for ``seconds``."""
    total = known.seconds + seconds
    gain = min(0.5, seconds / total)
    apart = found / known.factor - 1
    return replace(
        known,
        factor=known.factor + gain * (found - known.factor),
        variance=known.variance + gain * (apart * apart - known.variance),
        seconds=min(TUNING.remembers, total),
        learned=True,
    )


def _calm(ticks: Sequence[Tick], kind: ObjectiveKind) -> list[Tick]:
    """Ticks in which loops were not full and did not wait for CPU, nor in the 6 s before."""
    chosen = []
    full = -inf
    for tick in ticks:
        if tick.loop >= TUNING.full * tick.workers or tick.contended:
            full = tick.time
        elif windows.histogram_of(tick, kind)[1] and tick.time - full > FAST_WINDOW:
            chosen.append(tick)
    return chosen


def _busy(ticks: list[Tick]) -> float:
    """Mean rho / (1 - rho) by requests, from groups of three ticks, for the pods with more load."""
    uneven = min(tick.uneven for tick in ticks)
    total = requests = 0.0
    for first in range(0, len(ticks), 3):
        part = ticks[first : first + 3]
        rho = windows.mean(part, "loop") / windows.mean(part, "workers")
        rho = min(0.95, rho * uneven)
        came = windows.mean(part, "arrivals") * windows.span(part)
        total += came * rho / (1 - rho)
        requests += came
    return total / requests if requests > 0 else 0.0


def checkpoint(known: Queueing, saved: Saved) -> dict[str, Any]:
    """``queueingFactor``, if it has been measured."""
    if not known.learned:
        return {}
    return {"queueingFactor": settled(f"{known.factor:.2f}", saved, "queueingFactor", float)}


def restore(saved: Saved) -> Queueing | None:
    """Read it back."""
    factor = number(saved.get("queueingFactor"))
    if not TUNING.lowest <= factor <= TUNING.highest:
        return None
    return Queueing(factor=factor, learned=True)


LEARNER = Learner(kind=Queueing, learn=learn, checkpoint=checkpoint, restore=restore, tuning=TUNING)
