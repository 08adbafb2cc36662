"""Look: turns the scraped fleet into the facts of one tick."""

from math import isfinite

from aiapi_operator.sizing import counters, rates, windows
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import Fleet, SizingSpec
from aiapi_operator.sizing.state import Size, State


def look(spec: SizingSpec, fleet: Fleet, state: State, now: float) -> tuple[Facts, State]:
    """The facts of this tick, and the state with its samples."""
    if not isfinite(now):
        now = 0.0 if state.now is None else state.now
    interval = max(spec.interval, fleet.rested)
    seen = rates.validate(fleet, now=now, interval=interval, last=state.samples)
    kinds = [each.kind for each in spec.objectives]
    measured = rates.measure(seen, state, now=now, kinds=kinds)
    ticks = state.ticks
    for part in windows.parts(measured.tick, spec.interval):
        ticks = windows.append(ticks, part, now=now)
    elapsed = 0.0 if state.now is None else min(counters.MAX_COUNTER, now - state.now)
    stale = max(3 * interval, 10.0)
    # After a restart the last decision is in the status: it may not have been applied yet.
    decided = fleet.workers if state.last is None else state.last.size.workers
    workers = seen.workers_wanted or decided or spec.workers.min
    replicas = min(int(counters.MOST), max(0, fleet.replicas))
    since = now if state.since is None else state.since
    facts = Facts(
        spec=spec,
        fleet=fleet,
        seen=seen,
        ticks=ticks,
        tick=measured.tick,
        known=not seen.all_unknown and bool(ticks) and ticks[-1].time >= now - stale,
        gap=state.now is None or elapsed > max(5 * interval, 15.0),
        now=now,
        since=since,
        elapsed=elapsed,
        last=state.last,
        running=Size(workers=max(1, workers), replicas=replicas),
        base=Size(workers=max(1, workers, decided), replicas=replicas),
        memory=dict(state.memory),
    )
    kept = State(
        since=since,
        now=now,
        last=state.last,
        samples=measured.samples,
        columns=measured.columns,
        merged=measured.merged,
        ticks=ticks,
        memory=facts.memory,
    )
    return facts, kept
