"""Stabilization: scaling down uses the highest need of the last 30 s (workers) and 300 s (pods).

HPA and KPA stabilize in the same way. The number of pods may fall sooner, as long as the rest carry
the highest need of its window with ``workers.max`` in each: workers come back within a second.

A fleet that ran while the need was unknown counts as a need, so nothing shrinks for one window
after a start.
"""

from dataclasses import replace

from aiapi_operator.present.numbers import duration
from aiapi_operator.sizing import peaks, plan
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.learners.need_history import NeedHistory
from aiapi_operator.sizing.propose import workers_each
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

YOUNG = "no scale-down until a full stabilization window has passed since startup"


def guard_workers(size: Size, facts: Facts, needs: Requirements) -> Guarded | None:
    """No fewer workers than the highest need of the window requires."""
    history, start = facts.get(NeedHistory), facts.start
    if history is None or (size.workers >= start.workers and size.replicas >= start.replicas):
        return None
    lately = needs.scaled_to(history.lately(needs.carry.total))
    running = int(peaks.peak(history.running_workers) or 0)
    needed = max(workers_each(facts, lately, size.replicas), running)
    # More workers than are running only if fewer pods carry the same need.
    most = facts.spec.workers.max if size.replicas < start.replicas else start.workers
    allowed = min(most, needed)
    if allowed <= size.workers:
        return None
    window = duration(facts.spec.workers_down_after)
    why = f"workers scale down once the need has been lower for {window}"
    return held(replace(size, workers=allowed), facts, young=running > size.workers, why=why)


def guard_replicas(size: Size, facts: Facts, needs: Requirements) -> Guarded | None:
    """No fewer pods than can carry the highest need of the window."""
    history, start = facts.get(NeedHistory), facts.start
    if history is None or size.replicas >= start.replicas:
        return None
    lasting = needs.scaled_to(history.lasting(needs.carry.total))
    running = int(peaks.peak(history.running_replicas) or 0)
    carrying = plan.fewest_replicas(facts.plannable, lasting, at_least=1)
    allowed = min(start.replicas, max(running, carrying))
    if allowed <= size.replicas:
        return None
    window = duration(facts.spec.replicas_down_after)
    why = f"pods scale down once the need has been lower for {window}"
    return held(replace(size, replicas=allowed), facts, young=running > size.replicas, why=why)


def held(size: Size, facts: Facts, *, young: bool, why: str) -> Guarded:
    """The verdict, which differs while the operator has not yet seen a whole window."""
    started = facts.now - facts.since <= facts.spec.replicas_down_after
    if young and started:
        return Guarded(size=size, verdict=Verdict.WARMING_UP, why=YOUNG)
    return Guarded(size=size, verdict=Verdict.STABILIZING, why=why)
