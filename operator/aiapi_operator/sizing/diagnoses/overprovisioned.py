"""Overprovisioned: the cost of the user's floors beyond the need of the load, each alone, per hour.

The cheapest fleet for the highest need of the last ``scaleDown.replicasAfter`` is planned several
times, with one more floor each time. The difference is the cost of that floor:

    load alone, 2 workers          1 pod x 2     0.0370 USD per hour
    survive the loss of a pod      3 pods x 1    0.0608    the spare pod: 0.0239
    replicas.min 6                 6 pods x 1    0.1217    0.0608 more
    workers.min 2                  6 pods x 2    0.2218    0.1001 more

A spare pod is recommended, so its cost is reported but not counted. The condition is true when the
other floors have added a fifth to the cost for five minutes, until they add less than a tenth.
"""

from dataclasses import dataclass, field, replace

from aiapi_operator.sizing import latch, plan
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import Bounds, SizingSpec
from aiapi_operator.sizing.learners.need_history import EVERY, SAMPLES, NeedHistory
from aiapi_operator.sizing.learners.utilization import target
from aiapi_operator.sizing.learners.worker_use import WorkerUse, priced
from aiapi_operator.sizing.needs import memory, schedule
from aiapi_operator.sizing.plan import FULL, RequiredWorkers
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import SLOW_WINDOW, Latch, Size
from aiapi_operator.sizing.text import format_size

KIND = "Overprovisioned"
MUCH = 0.2
"""Share of the cost that floors add, from which it is reported. Chosen; it ends below half of
it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surplus:
    """The cost of floors beyond the need, as evaluated at ``time``."""

    time: float
    lean: Size
    """The fleet that the load needs, with a spare pod."""
    held: Size
    """The fleet that the floors require."""
    lean_hour: float
    reserve_hour: float
    """The part of it that is for the spare pod."""
    parts: tuple[tuple[str, float], ...]
    """Each floor that adds cost, with the cost per hour."""
    latch: Latch = field(default_factory=Latch)


def learn(known: Surplus | None, facts: Facts) -> Surplus | None:
    """Evaluate every 10 s."""
    history = facts.get(NeedHistory)
    if not facts.known or history is None or not history.samples:
        return known
    if known is not None and facts.now - known.time < EVERY:
        return known
    total = history.lasting(history.samples[-1])
    need = RequiredWorkers(total, total * min(1.0, target(facts).utilization / FULL))
    found = surplus(facts, need)
    over = sum(hour for _, hour in found.parts)
    finding = (
        True
        if over > MUCH * found.lean_hour
        else False
        if over < MUCH / 2 * found.lean_hour
        else None
    )
    before = Latch() if known is None else known.latch
    turned = latch.update(
        before, finding, now=facts.now, on_after=SAMPLES * EVERY, off_after=SLOW_WINDOW
    )
    return replace(found, latch=turned)


def surplus(facts: Facts, need: RequiredWorkers) -> Surplus:
    """Compare the fleet with all floors to the leanest that survives the loss of one pod."""
    spec = priced(facts.spec, facts.get(WorkerUse))
    held = memory.need(facts, 0.0)
    pods = min(spec.replicas.max, 1 if held is None else held.min_replicas)
    two = max(pods, min(2, spec.replicas.min))
    scheduled = schedule.need(facts, 0.0)
    name = "" if scheduled is None else scheduled.reason.partition(":")[0]
    workers = spec.workers.min if scheduled is None else scheduled.min_workers
    replicas = spec.replicas.min if scheduled is None else scheduled.min_replicas
    steps = (
        ("", _floored(spec, 1, pods), RequiredWorkers(need.total, 0.0)),
        ("", _floored(spec, 1, two), need),
        (f"replicas.min {spec.replicas.min}", _floored(spec, 1, max(two, spec.replicas.min)), need),
        (
            f"workers.min {spec.workers.min}",
            _floored(spec, spec.workers.min, max(two, spec.replicas.min)),
            need,
        ),
        (name, _floored(spec, workers, max(two, replicas)), need),
    )
    fleets = [plan.cheapest(floor, carry) for _, floor, carry in steps]
    hours = [plan.hourly_cost(spec, size) for size in fleets]
    parts = tuple(
        (steps[step][0], hours[step] - hours[step - 1])
        for step in range(2, len(steps))
        if hours[step] > hours[step - 1]
    )
    return Surplus(
        time=facts.now,
        lean=fleets[1],
        held=fleets[-1],
        lean_hour=hours[1],
        reserve_hour=max(0.0, hours[1] - hours[0]),
        parts=parts,
    )


def _floored(spec: SizingSpec, workers: int, replicas: int) -> SizingSpec:
    return replace(
        spec,
        workers=Bounds(min=workers, max=spec.workers.max),
        replicas=Bounds(min=replicas, max=spec.replicas.max),
    )


def check(facts: Facts, _: Requirements, __: Size) -> Condition:
    """Whether floors cost much more than the load needs."""
    found = facts.get(Surplus)
    if found is None or not facts.known:
        return condition(KIND, None, "NoData", "The need is unknown.")
    reserve = f"the spare pod costs {_hourly(facts.spec, found.reserve_hour)}"
    if not found.latch.on:
        message = f"No minimum costs much more than the recent load needs; {reserve}."
        return condition(KIND, False, "FloorsFit", message)
    parts = ", ".join(f"{name} adds {_hourly(facts.spec, hour)}" for name, hour in found.parts)
    if not parts:
        message = f"Until recently, minimums kept more than the load needs; {reserve}."
        return condition(KIND, True, "FloorsHoldMore", message)
    return condition(
        KIND,
        True,
        "FloorsHoldMore",
        f"Minimums keep {format_size(found.held)} while the recent load needs"
        f" {format_size(found.lean)}: {parts} ({reserve}). Lower them unless you expect more"
        " load.",
    )


def _hourly(spec: SizingSpec, hour: float) -> str:
    paid = spec.price.cpu_hour + spec.price.memory_gib_hour > 0
    return f"{hour:.3g} {spec.price.currency if paid else 'cores'} per hour"


DIAGNOSIS = Diagnosis(check, Learner(kind=Surplus, learn=learn))
