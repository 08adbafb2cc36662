"""Guards: turns the need into the move that is allowed now, on both axes at once.

Scaling up is fast: workers immediately, in the pods that serve; pods as soon as the maximum workers
per pod will not suffice by the time new pods have their share. Scaling down waits: workers follow
the highest need of the last 30 s, like the stabilization windows of HPA and KPA. A need up to 5 %
above what runs changes nothing.

Pods otherwise move when the saving exceeds the cost of the move (see replica_moves.py). They scale
down only as far as the remaining pods, with workers.max each, can carry the highest need of the
last 300 s. Both windows are configurable.

Ordered pods that are not ready count as ordered, so one need orders them once. They do not count as
serving, so workers in the serving pods make up for them.

Connections are not moved: a new pod has little load, and the older pods still have nearly all of
it. A pod keeps the workers that its own load needs.
"""

from dataclasses import dataclass, replace
from math import ceil

from aiapi_operator.sizing import peaks, plan, replica_moves
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.state import PodOrder, ReplicaMove, Size, StabilizationWindows

MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveConstraints:
    """The running fleet and the limits on a move."""

    running: Size
    ordered: int
    """Pods of the last decision: more than run while pods start, or in Recommend mode."""
    ready: int
    """Pods that take traffic."""
    ready_workers: int
    """Ready workers in the pod that has the fewest."""
    may_shrink: bool
    more_pods: int
    """Pods that the rate limit still allows."""
    lead: float = 10.0
    """Seconds until a newly ordered pod takes traffic."""
    heaviest: float = 0.0
    """Workers needed by each of the pods with the highest load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilizedNeeds:
    """The needs by window: now, for workers and for pods; and a move that saves cost."""

    current: RequiredWorkers
    soon: RequiredWorkers
    """The need when pods ordered now have their share of the load."""
    workers: RequiredWorkers
    replicas: RequiredWorkers
    move: ReplicaMove | None
    workers_floor: int
    replicas_floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The fleet to have now, and what the guards held back."""

    size: Size
    workers_held: bool = False
    replicas_held: bool = False
    rate_limited: bool = False
    uneven: bool = False
    """Workers are kept for pods with more load than the others."""


def record_need(
    recent: StabilizationWindows, spec: SizingSpec, need: float, *, now: float
) -> StabilizationWindows:
    """Adds this tick's need to the windows."""
    workers, replicas = spec.workers_down_after, spec.replicas_down_after
    return replace(
        recent,
        workers_need=peaks.push(recent.workers_need, time=now, value=need, window=workers),
        replicas_need=peaks.push(recent.replicas_need, time=now, value=need, window=replicas),
        workers_floor=peaks.expire(recent.workers_floor, time=now, window=workers),
        replicas_floor=peaks.expire(recent.replicas_floor, time=now, window=replicas),
    )


def update_replica_move(
    recent: StabilizationWindows,
    spec: SizingSpec,
    found: StabilizedNeeds,
    at: MoveConstraints,
    *,
    now: float,
) -> StabilizationWindows:
    """Checks, every few seconds, whether another number of pods saves more than the move costs."""
    if not replica_moves.sample_due(recent.samples, now=now):
        return recent
    need = found.current
    history = replica_moves.next_history(recent.history, at.running.replicas, now=now)
    samples = recent.samples if history is recent.history else ()
    samples = replica_moves.add_sample(samples, found.workers.total, now=now)
    terms = replica_moves.MoveTerms(
        running=clamp(spec, at.running),
        ready=at.ready,
        lead=at.lead,
        survivors=need.survivors / need.total if need.total > 0 else 0.0,
        fewest=_fewest(spec, found),
        patience=history.patience,
    )
    pods = replica_moves.best_replicas(spec, samples, terms)
    before = terms.running.replicas
    move = ReplicaMove(before=before, after=pods) if pods != before else None
    return replace(recent, samples=samples, move=move, history=history)


def _fewest(spec: SizingSpec, needs: StabilizedNeeds) -> int:
    """The fewest pods that carry the highest recent need and the need soon."""
    pods = plan.fewest_replicas(spec, needs.replicas, at_least=spec.replicas.min)
    return plan.fewest_replicas(spec, needs.soon, at_least=pods)


def record_running(
    recent: StabilizationWindows, spec: SizingSpec, running: Size, *, now: float
) -> StabilizationWindows:
    """Adds the running size to the windows while the need is unknown.

    After a start, or five minutes without metrics, nothing shrinks until a full window has passed.
    """
    workers, replicas = spec.workers_down_after, spec.replicas_down_after
    return StabilizationWindows(
        workers_need=peaks.expire(recent.workers_need, time=now, window=workers),
        replicas_need=peaks.expire(recent.replicas_need, time=now, window=replicas),
        workers_floor=peaks.push(
            recent.workers_floor, time=now, value=running.workers, window=workers
        ),
        replicas_floor=peaks.push(
            recent.replicas_floor, time=now, value=running.replicas, window=replicas
        ),
        history=recent.history,
    )


def stabilized_needs(
    recent: StabilizationWindows, current: RequiredWorkers, soon: RequiredWorkers
) -> StabilizedNeeds:
    """The needs of the windows; the share that must survive a lost pod is the current one."""
    share = current.survivors / current.total if current.total > 0 else 1.0

    def carry(total: float | None) -> RequiredWorkers:
        total = current.total if total is None else total
        return RequiredWorkers(total, total * share)

    return StabilizedNeeds(
        current=current,
        soon=soon,
        workers=carry(peaks.peak(recent.workers_need)),
        replicas=carry(peaks.peak(recent.replicas_need)),
        move=recent.move,
        workers_floor=int(peaks.peak(recent.workers_floor) or 0),
        replicas_floor=int(peaks.peak(recent.replicas_floor) or 0),
    )


def pods_allowed(orders: tuple[PodOrder, ...], spec: SizingSpec, *, now: float) -> int:
    """Pods that may still be ordered this minute."""
    spent = sum(order.added for order in orders if order.time > now - MINUTE)
    return max(0, spec.max_replicas_per_minute - spent)


def clamp(spec: SizingSpec, size: Size) -> Size:
    """The nearest fleet within the bounds."""
    return Size(
        workers=min(spec.workers.max, max(spec.workers.min, size.workers)),
        replicas=min(spec.replicas.max, max(spec.replicas.min, size.replicas)),
    )


def move(spec: SizingSpec, needs: StabilizedNeeds, at: MoveConstraints) -> Move:
    """The fleet to have now."""
    start = clamp(spec, at.running)
    wanted = _wanted_replicas(spec, needs, start)
    replicas = min(wanted, max(start.replicas, at.ordered) + at.more_pods)
    if replicas < start.replicas:
        floor = max(replicas, needs.replicas_floor) if at.may_shrink else start.replicas
        replicas = min(floor, start.replicas)
    workers = _workers(spec, needs, at, start, replicas)
    if replicas < start.replicas and workers > at.ready_workers:
        # Fewer pods with more workers each: add the workers first, then remove the pods.
        replicas = start.replicas
    soon = needs.current.times(1 + plan.TOLERANCE)
    return Move(
        size=Size(workers=workers, replicas=replicas),
        workers_held=workers > max(spec.workers.min, _each(soon, at, replicas)),
        replicas_held=_less(spec, soon, replicas),
        rate_limited=wanted > replicas >= start.replicas,
        uneven=_for_the_heaviest(at) == workers > _each(needs.workers, at, replicas),
    )


def _wanted_replicas(spec: SizingSpec, needs: StabilizedNeeds, start: Size) -> int:
    beyond = needs.soon.times(1 / (1 + plan.TOLERANCE))
    if plan.workers_for(beyond, start.replicas) > spec.workers.max:
        return plan.fewest_replicas(spec, needs.soon, at_least=start.replicas)
    if needs.move is not None and needs.move.before == start.replicas:
        return needs.move.after
    return start.replicas


def _less(spec: SizingSpec, need: RequiredWorkers, replicas: int) -> bool:
    """Whether one pod less would carry the need at a lower cost."""
    if replicas <= spec.replicas.min:
        return False
    fewer = plan.fit(spec, need, replicas - 1)
    able = plan.workers_for(need, replicas - 1) <= spec.workers.max
    return able and plan.hourly_cost(spec, fewer) < plan.hourly_cost(
        spec, plan.fit(spec, need, replicas)
    )


def _workers(
    spec: SizingSpec, needs: StabilizedNeeds, at: MoveConstraints, start: Size, replicas: int
) -> int:
    most = spec.workers.max
    if _each(needs.current.times(1 / (1 + plan.TOLERANCE)), at, replicas) > start.workers:
        return min(most, _each(needs.current, at, replicas))
    lower = _each(needs.workers, at, replicas)
    lower = max(lower, _for_the_heaviest(at))
    lower = min(most, max(spec.workers.min, needs.workers_floor, lower))
    if lower < start.workers:
        return lower if at.may_shrink else start.workers
    # Raise only if fewer pods must carry the same need.
    return lower if replicas < start.replicas else start.workers


def _each(need: RequiredWorkers, at: MoveConstraints, replicas: int) -> int:
    """Workers per pod: the serving pods carry all of it, and the ordered pods survive the loss of
    one."""
    serving = min(at.ready, replicas) or replicas
    each = need.total / max(1, serving)
    if replicas >= 2:
        each = max(each, need.survivors / (replicas - 1))
    return max(1, ceil(each - 1e-9))


def _for_the_heaviest(at: MoveConstraints) -> int:
    # No tolerance: until connections even out, these loops are the busiest.
    return ceil(at.heaviest - 1e-9)
