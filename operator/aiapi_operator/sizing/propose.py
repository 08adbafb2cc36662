"""Propose: the fleet for the need, before the guards. Workers first; pods for what lasts.

The workers of running pods follow the need immediately. Pods are ordered as soon as the workers
that each can have will not suffice by the time that new pods serve, and otherwise when another
number of pods is cheaper (pods.py). Pods that were ordered count as ordered until they are ready,
so one need never orders them twice. They do not count as serving, so workers in the other pods make
up for them.

A need up to 5 % above the running workers changes nothing.
"""

from dataclasses import dataclass
from math import ceil

from aiapi_operator.sizing import plan, pods
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners import pod_start
from aiapi_operator.sizing.learners.need_history import NeedHistory
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import ReplicaMove, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A fleet, and the change of the number of pods that stays valid until the next evaluation."""

    size: Size
    move: ReplicaMove | None


def clamp(facts: Facts, size: Size) -> Size:
    """The nearest fleet within the bounds."""
    return size.within(facts.spec.workers, facts.spec.replicas)


def serving(facts: Facts, replicas: int) -> int:
    """How many of ``replicas`` pods take traffic."""
    return max(1, min(facts.seen.ready, replicas) or replicas)


def workers_each(facts: Facts, need: RequiredWorkers, replicas: int) -> int:
    """Workers per pod: ready pods carry the need, and all ordered pods survive the loss of one."""
    each = need.total / serving(facts, replicas)
    if replicas >= 2:
        each = max(each, need.survivors / (replicas - 1))
    return max(1, ceil(each - 1e-9))


def tolerant_workers(facts: Facts, need: RequiredWorkers, replicas: int) -> int:
    """Workers per pod: the running number if the need exceeds it by no more than the tolerance."""
    running, workers = facts.start.workers, workers_each(facts, need, replicas)
    if workers <= running:
        return workers
    tolerated = workers_each(facts, need.times(1 / (1 + plan.CLOSE)), replicas)
    return running if tolerated <= running else workers


def propose(facts: Facts, now: Requirements, soon: Requirements) -> Proposal:
    """The fleet for the need now, and for the need when pods ordered now will serve."""
    spec, plannable, start = facts.spec, facts.plannable, facts.start
    most = plannable.workers.max
    move = _move(facts, now, soon, start)
    replicas = move.after if move is not None and _pays(facts, now, soon, move) else start.replicas
    if plan.workers_for(soon.carry, start.replicas) > most:
        replicas = plan.fewest_replicas(plannable, soon.carry, at_least=start.replicas)
    replicas = min(spec.replicas.max, max(replicas, _floor(now, most), _floor(soon, most)))
    workers = tolerant_workers(facts, now.carry, replicas)
    workers = min(spec.workers.max, max(workers, min(most, now.min_workers), spec.workers.min))
    return Proposal(size=Size(workers=workers, replicas=replicas), move=move)


def _floor(needs: Requirements, most: int) -> int:
    """Pods for the floors. Where pods cannot have a floor's workers, more pods make up for it."""
    return ceil(needs.min_replicas * max(1.0, needs.min_workers / most))


def _move(facts: Facts, now: Requirements, soon: Requirements, start: Size) -> ReplicaMove | None:
    """The number of pods that is worth a move, evaluated every 10 s and kept in between."""
    history = facts.get(NeedHistory)
    if history is None or not history.samples:
        return None
    last = facts.last
    if last is None or history.sampled != last.time:
        kept = None if last is None else last.move
        return kept if kept is not None and kept.before == start.replicas else None
    market = pods.Market(
        running=start,
        ready=facts.seen.ready,
        lead=pod_start.seconds(facts),
        survivors=now.carry.survivors / now.carry.total if now.carry.total > 0 else 0.0,
        fewest=fewest(facts, history, now, soon),
        min_workers=now.min_workers,
    )
    after = pods.cheapest(facts.plannable, history.samples, market)
    return ReplicaMove(before=start.replicas, after=after) if after != start.replicas else None


def _pays(facts: Facts, now: Requirements, soon: Requirements, move: ReplicaMove) -> bool:
    """Fewer pods must carry the need, and cost less: it may have risen since the last look.

    The highest need of the workers' window counts, since workers stay for it.
    """
    if move.after > move.before:
        return True
    spec, history = facts.plannable, facts.get(NeedHistory)
    lately = now.scaled_to(now.carry.total if history is None else history.lately(now.carry.total))
    if any(plan.workers_for(need, move.after) > spec.workers.max for need in (lately, soon.carry)):
        return False
    kept, moved = (plan.fit(spec, lately, pods) for pods in (move.before, move.after))
    return plan.hourly_cost(spec, moved) < plan.hourly_cost(spec, kept)


def fewest(facts: Facts, history: NeedHistory, now: Requirements, soon: Requirements) -> int:
    """The fewest pods that carry the highest need of the pods' window and the expected need."""
    lasting = now.scaled_to(history.lasting(now.carry.total))
    most = facts.plannable.workers.max
    floor = max(_floor(now, most), _floor(soon, most))
    found = plan.fewest_replicas(facts.plannable, lasting, at_least=floor)
    return plan.fewest_replicas(facts.plannable, soon.carry, at_least=found)
