"""Guards: from what is needed to what may be done now, on both axes at once.

Up is quick: workers in the pods that serve, at once; pods as soon as the workers a pod may
have do not suffice. Down waits: workers for the highest need of the last 30 s, pods for the
highest of the last 300 s (both can be set), as HPA and KPA stabilise. In between, a need that
differs by less than 5 % from what runs changes nothing.

Pods that were ordered and are not ready yet count as ordered, so one need orders them once;
they do not count as serving, so workers in the pods that do serve make up for them.

Connections stay where they are, so a pod that has just become ready has little to do, and those
before it still have nearly all. A pod keeps the workers that its own load needs.
"""

from dataclasses import dataclass
from math import ceil

from aiapi_operator.sizing import peaks, plan
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.plan import Carry
from aiapi_operator.sizing.state import Order, Recent, Size

TOLERANCE = 0.05
WORTH = 0.95
"""A move of pods that saves less than 5 % is not worth its price."""
LASTS = 120.0
"""Seconds for which a need must have been there before pods follow it for their cost alone."""
MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What runs, and what bars a move."""

    running: Size
    ordered: int
    """Pods that were decided on last: more than run while an order is carried out, or only told."""
    ready: int
    """Pods that take traffic."""
    ready_workers: int
    """Workers that serve in the pod that has the fewest."""
    may_shrink: bool
    settled: bool
    """Seen for long enough to know what lasts."""
    more_pods: int
    """Pods that the rate limit still allows."""
    heaviest: float = 0.0
    """Workers that the pod with the most to do needs by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Needs by how long they count: now, for workers, for pods, and what was always there."""

    now: Carry
    workers: Carry
    replicas: Carry
    lasting: Carry
    workers_floor: int
    replicas_floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where to go now, and what a guard kept back."""

    size: Size
    workers_held: bool = False
    replicas_held: bool = False
    rate_limited: bool = False
    uneven: bool = False
    """Workers are kept for one pod that has more to do than the others."""


def remember(recent: Recent, spec: SizingSpec, need: float, *, now: float) -> Recent:
    """Add this tick's need to the windows."""
    workers, replicas = spec.workers_down_after, spec.replicas_down_after
    return Recent(
        workers_need=peaks.push(recent.workers_need, time=now, value=need, window=workers),
        replicas_need=peaks.push(recent.replicas_need, time=now, value=need, window=replicas),
        workers_floor=peaks.expire(recent.workers_floor, time=now, window=workers),
        replicas_floor=peaks.expire(recent.replicas_floor, time=now, window=replicas),
        lasting_need=peaks.push(recent.lasting_need, time=now, value=-need, window=LASTS),
    )


def hold(recent: Recent, spec: SizingSpec, running: Size, *, now: float) -> Recent:
    """Add what runs to the windows, for a time of which the need is not known.

    After a start, or five minutes without metrics, nothing shrinks until a whole window has
    been seen.
    """
    workers, replicas = spec.workers_down_after, spec.replicas_down_after
    return Recent(
        workers_need=peaks.expire(recent.workers_need, time=now, window=workers),
        replicas_need=peaks.expire(recent.replicas_need, time=now, window=replicas),
        workers_floor=peaks.push(
            recent.workers_floor, time=now, value=running.workers, window=workers
        ),
        replicas_floor=peaks.push(
            recent.replicas_floor, time=now, value=running.replicas, window=replicas
        ),
        lasting_need=peaks.push(recent.lasting_need, time=now, value=0.0, window=LASTS),
    )


def needs(recent: Recent, now: Carry) -> Needs:
    """What the windows say; the part that must survive a lost pod is as large as it is now."""
    share = now.survivors / now.total if now.total > 0 else 1.0

    def carry(total: float | None) -> Carry:
        total = now.total if total is None else total
        return Carry(total, total * share)

    return Needs(
        now=now,
        workers=carry(peaks.peak(recent.workers_need)),
        replicas=carry(peaks.peak(recent.replicas_need)),
        lasting=carry(-(peaks.peak(recent.lasting_need) or 0.0)),
        workers_floor=int(peaks.peak(recent.workers_floor) or 0),
        replicas_floor=int(peaks.peak(recent.replicas_floor) or 0),
    )


def allowance(orders: tuple[Order, ...], spec: SizingSpec, *, now: float) -> int:
    """Pods that may still be ordered this minute."""
    spent = sum(order.added for order in orders if order.time > now - MINUTE)
    return max(0, spec.max_replicas_per_minute - spent)


def within(spec: SizingSpec, size: Size) -> Size:
    """The nearest fleet within the bounds."""
    return Size(
        workers=min(spec.workers.max, max(spec.workers.min, size.workers)),
        replicas=min(spec.replicas.max, max(spec.replicas.min, size.replicas)),
    )


def move(spec: SizingSpec, needs: Needs, at: Situation) -> Move:
    """The fleet to have now."""
    start = within(spec, at.running)
    wanted = _wanted_replicas(spec, needs, at, start)
    replicas = min(wanted, max(start.replicas, at.ordered) + at.more_pods)
    if replicas < start.replicas:
        floor = max(replicas, needs.replicas_floor) if at.may_shrink else start.replicas
        replicas = min(floor, start.replicas)
    workers = _workers(spec, needs, at, start, replicas)
    if replicas < start.replicas and workers > at.ready_workers:
        # Fewer pods with more workers each: the workers come first, the pods go afterwards.
        replicas = start.replicas
    soon = needs.now.times(1 + TOLERANCE)
    return Move(
        size=Size(workers=workers, replicas=replicas),
        workers_held=workers > max(spec.workers.min, _each(soon, at, replicas)),
        replicas_held=_cheaper(spec, soon, replicas).replicas < replicas,
        rate_limited=wanted > replicas >= start.replicas,
        uneven=_for_the_heaviest(at) == workers > _each(needs.workers, at, replicas),
    )


def _wanted_replicas(spec: SizingSpec, needs: Needs, at: Situation, start: Size) -> int:
    beyond = needs.now.times(1 / (1 + TOLERANCE))
    if plan.workers_for(beyond, start.replicas) > spec.workers.max:
        return plan.fewest_replicas(spec, needs.now, at_least=start.replicas)
    peak = _cheaper(spec, needs.replicas.times(1 + TOLERANCE), start.replicas).replicas
    if peak < start.replicas:
        return peak
    falling = needs.now.total * (1 + 2 * TOLERANCE) < needs.workers.total
    if falling or not at.settled:
        return start.replicas
    # More pods for their cost alone: only if the least and the greatest need both ask for it.
    least = _cheaper(spec, needs.lasting.times(1 + TOLERANCE), start.replicas).replicas
    return max(start.replicas, min(least, peak))


def _cheaper(spec: SizingSpec, need: Carry, replicas: int) -> Size:
    """The cheapest fleet for ``need``, if moving there from ``replicas`` pods is worth it."""
    here = plan.fit(spec, need, replicas)
    there = plan.cheapest(spec, need)
    saves = plan.hour(spec, there) < WORTH * plan.hour(spec, here)
    return there if saves else here


def _workers(spec: SizingSpec, needs: Needs, at: Situation, start: Size, replicas: int) -> int:
    most = spec.workers.max
    if _each(needs.now.times(1 / (1 + TOLERANCE)), at, replicas) > start.workers:
        return min(most, _each(needs.now, at, replicas))
    lower = _each(needs.workers.times(1 + TOLERANCE), at, replicas)
    lower = max(lower, _for_the_heaviest(at))
    lower = min(most, max(spec.workers.min, needs.workers_floor, lower))
    if lower < start.workers:
        return lower if at.may_shrink else start.workers
    # Raised only where fewer pods must carry the same need.
    return lower if replicas < start.replicas else start.workers


def _each(need: Carry, at: Situation, replicas: int) -> int:
    """Workers a pod: the pods that serve carry it all, those ordered survive the loss of one."""
    serving = min(at.ready, replicas) or replicas
    each = need.total / max(1, serving)
    if replicas >= 2:
        each = max(each, need.survivors / (replicas - 1))
    return max(1, ceil(each - 1e-9))


def _for_the_heaviest(at: Situation) -> int:
    return ceil(at.heaviest / (1 + TOLERANCE) - 1e-9)
