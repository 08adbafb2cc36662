"""Surplus: the hourly cost of each floor beyond what the load needs.

The cheapest fleet for the highest need of the last ``scaleDown.replicasAfter`` is planned
repeatedly, with one floor more each time; the added cost is the price of that floor:

    load alone, 2 workers          1 pod x 2     0.0370 USD per hour
    survive the loss of a pod      3 pods x 1    0.0608    the spare pod: 0.0239
    replicas.min 6                 6 pods x 1    0.1217    0.0608 more
    workers.min 2                  6 pods x 2    0.2218    0.1001 more

The spare pod is recommended, so it is reported but does not count as surplus. The floors are a
surplus when they have added a fifth to the rest for five minutes, until it is under a tenth.
"""

from dataclasses import replace

from aiapi_operator.sizing import floors, latch, plan, worker_use
from aiapi_operator.sizing.inputs import Bounds, SizingSpec
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.state import Latch, State, Surplus

INTERVAL = 10.0
"""Seconds between two evaluations."""
MUCH, LITTLE = 0.2, 0.1
ON_AFTER, OFF_AFTER = 300.0, 60.0


def update(
    user_spec: SizingSpec, spec: SizingSpec, state: State, need: RequiredWorkers, *, now: float
) -> Surplus:
    """The updated surplus. ``user_spec`` has the user's floors, ``spec`` has all."""
    last = state.surplus
    if last is not None and now - last.time < INTERVAL:
        return last
    found = compute(
        worker_use.with_learned_resources(user_spec, state.use),
        worker_use.with_learned_resources(spec, state.use),
        need,
        now=now,
    )
    turned = latch.update(
        Latch() if last is None else last.latch,
        _finding(found),
        now=now,
        on_after=ON_AFTER,
        off_after=OFF_AFTER,
    )
    return replace(found, latch=turned)


def compute(
    user_spec: SizingSpec, spec: SizingSpec, need: RequiredWorkers, *, now: float
) -> Surplus:
    """Compares the fleet with all floors to the smallest one that survives the loss of a pod."""
    memory = max(1, min(spec.memory_pods, spec.replicas.max))
    two = max(memory, min(2, user_spec.replicas.min))
    steps = (
        ("", _floored(user_spec, 1, memory), RequiredWorkers(need.total, 0.0)),
        ("", _floored(user_spec, 1, two), need),
        (
            f"replicas.min {user_spec.replicas.min}",
            _floored(user_spec, 1, max(two, user_spec.replicas.min)),
            need,
        ),
        (
            f"workers.min {user_spec.workers.min}",
            _floored(user_spec, user_spec.workers.min, max(two, user_spec.replicas.min)),
            need,
        ),
        (f"schedule {floors.names(spec.floors)}", spec, need),
    )
    fleets = [plan.cheapest(floor, carry) for _, floor, carry in steps]
    hours = [plan.hourly_cost(user_spec, size) for size in fleets]
    parts = tuple(
        (steps[step][0], hours[step] - hours[step - 1])
        for step in range(2, len(steps))
        if hours[step] > hours[step - 1]
    )
    return Surplus(
        time=now,
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


def _finding(found: Surplus) -> bool | None:
    over = sum(hour for _, hour in found.parts)
    if over > MUCH * found.lean_hour:
        return True
    return False if over < LITTLE * found.lean_hour else None
