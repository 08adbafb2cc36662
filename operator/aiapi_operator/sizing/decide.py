"""The right-sizer's one door: what was seen goes in, the fleet wanted now comes out, with why.

Pure: the same arguments give the same answer. Nothing here or below reads a clock.
"""

from dataclasses import dataclass, replace
from math import isfinite

from aiapi_operator.sizing import (
    demand,
    floors,
    guards,
    learn,
    peaks,
    rates,
    reasons,
    restore,
    savings,
    surplus,
    windows,
    worker_use,
)
from aiapi_operator.sizing.assess import FIRST_POD_LEAD, NOTHING_KNOWN, Outlook, assess
from aiapi_operator.sizing.capacity import CAUTIOUS
from aiapi_operator.sizing.decision import Binding, Decision, Need, Verdict
from aiapi_operator.sizing.diagnose import Facts, conditions
from aiapi_operator.sizing.guards import Move, Situation
from aiapi_operator.sizing.inputs import Fleet, Mode, SizingSpec
from aiapi_operator.sizing.rates import Seen
from aiapi_operator.sizing.state import Size, State

MOST_PODS = 10**6


@dataclass(frozen=True, slots=True)
class _Answer:
    """A decision before it is dressed up for people."""

    size: Size
    verdict: Verdict
    message: str
    outlook: Outlook | None = None
    rate_limited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """One tick: the wishes, what was seen of the fleet, and what runs."""

    wishes: SizingSpec
    """As the user has them."""
    spec: SizingSpec
    """With all floors that hold now."""
    fleet: Fleet
    seen: Seen
    now: float
    running: Size
    """As the pods say; a restarted pod may be at the template's size."""
    base: Size
    """What moves start from: what runs, or more workers where more were decided."""


def decide(spec: SizingSpec, fleet: Fleet, state: State, now: float) -> Decision:
    """The fleet wanted now.

    Verdict and message compare it with what runs. In ``Recommend`` mode the answer is what
    ``Auto`` would do. ``Verdict.HOLDING`` and ``WARMING_UP`` never shrink anything, but where
    no pod answered their ``workers`` is the best guess: order it of no pod that is silent.
    """
    now, state = _on_one_clock(state, now)
    scene = _look(spec, fleet, state, now)
    learned = learn.learn(spec, scene.seen, state, now=now)
    scene = replace(scene, spec=_floored(spec, learned))
    spec = scene.spec
    outlook = None
    if not scene.seen.blind:
        replicas = guards.within(spec, scene.base).replicas
        outlook = assess(spec, learned, replicas=replicas, now=now)
    learned = _remember(scene, state, learned, outlook)
    if outlook is not None:
        needs = guards.needs(learned.recent, outlook.carry, outlook.soon)
        found = surplus.look(scene.wishes, spec, learned, needs.replicas, now=now)
        learned = replace(learned, surplus=found)
    answer = _answer(scene, learned, outlook)
    return _tell(scene, _account(scene, state, learned, answer), answer)


def _floored(spec: SizingSpec, state: State) -> SizingSpec:
    """The spec with the floors that hold beside the user's."""
    return floors.apply(
        spec,
        pod_lead=state.pod_lead or FIRST_POD_LEAD,
        memory_pods=int(peaks.peak(state.memory_pods) or 0),
    )


def _on_one_clock(state: State, now: float) -> tuple[float, State]:
    """A clock that went back makes all times in memory worthless: begin anew, as after a start."""
    if not isfinite(now):
        return (0.0 if state.now is None else state.now), state
    if state.now is not None and now < state.now:
        return now, replace(
            restore.initial_state(restore.checkpoint_of(state)), decided=state.decided
        )
    return now, state


def _look(spec: SizingSpec, fleet: Fleet, state: State, now: float) -> _Scene:
    seen = rates.sift(fleet, now=now, interval=spec.interval)
    # After a start the status tells what was decided last: an order may still be on its way.
    decided = fleet.workers if state.decided is None else state.decided.workers
    workers = seen.workers_wanted or decided or spec.workers.min
    replicas = min(MOST_PODS, max(0, fleet.replicas))
    return _Scene(
        wishes=spec,
        spec=spec,
        fleet=fleet,
        seen=seen,
        now=now,
        running=Size(workers=max(1, workers), replicas=replicas),
        base=Size(workers=max(1, workers, decided), replicas=replicas),
    )


def _remember(scene: _Scene, before: State, state: State, outlook: Outlook | None) -> State:
    """Put this tick's need, or what ran while it was not known, into the windows."""
    spec, now = scene.spec, scene.now
    recent = state.recent
    gap = before.now is None or now - before.now > max(5 * spec.interval, 15.0)
    if outlook is None or gap:
        recent = guards.hold(recent, spec, scene.base, now=now)
    if outlook is None:
        return replace(state, recent=recent)
    recent = guards.remember(recent, spec, outlook.workers.total, now=now)
    at = _situation(scene, state, outlook)
    found = guards.needs(recent, outlook.carry, outlook.soon)
    recent = guards.consider(recent, spec, found, at, now=now)
    forecasts = demand.promise(
        state.forecasts,
        outlook.demand,
        now=now,
        lead=outlook.workers.lead,
        hold=spec.workers_down_after,
    )
    return replace(state, recent=recent, forecasts=forecasts)


def _answer(scene: _Scene, state: State, outlook: Outlook | None) -> _Answer:
    if scene.spec.mode is Mode.PAUSED:
        message = f"paused by spec.scaling.mode; {reasons.step(scene.running, scene.running)}"
        return _Answer(scene.running, Verdict.PAUSED, message, outlook)
    if outlook is None:
        return _hold(scene, state)
    return _move(scene, state, outlook)


def _hold(scene: _Scene, state: State) -> _Answer:
    """Nothing is known: keep what runs."""
    size = guards.within(scene.spec, scene.base)
    step = reasons.step(scene.running, size)
    seen = scene.seen
    if seen.ready == 0:
        verdict = Verdict.HOLDING if state.ticks else Verdict.WARMING_UP
        return _Answer(size, verdict, f"no pod is ready yet; {step}")
    if seen.blind:
        silent = reasons.silent(tuple((pod.pod, pod.reason) for pod in seen.unknown))
        message = f"no metrics from any of {reasons.count(seen.ready, 'ready pod')} ({silent})"
        return _Answer(size, Verdict.HOLDING, f"{message}: what runs is kept; {step}")
    fresh = state.since is not None and scene.now - state.since <= scene.spec.interval
    verdict = Verdict.WARMING_UP if fresh else Verdict.HOLDING
    return _Answer(size, verdict, f"rates need a second sample: what runs is kept; {step}")


def _move(scene: _Scene, state: State, outlook: Outlook) -> _Answer:
    spec, seen, now = scene.spec, scene.seen, scene.now
    needs = guards.needs(state.recent, outlook.carry, outlook.soon)
    since = now if state.since is None else state.since
    move = guards.move(spec, needs, _situation(scene, state, outlook))
    verdict = _verdict(scene, move, outlook, age=now - since)
    message = reasons.sentence(spec, outlook, move, verdict=verdict, running=scene.running)
    if verdict is Verdict.HOLDING:
        silent = reasons.silent(tuple((pod.pod, pod.reason) for pod in seen.unknown))
        message += f"; nothing shrinks while ready pods do not answer ({silent})"
    return _Answer(move.size, verdict, message, outlook, move.rate_limited)


def _situation(scene: _Scene, state: State, outlook: Outlook) -> Situation:
    """What runs, and what bars a move."""
    spec, seen, now = scene.spec, scene.seen, scene.now
    heaviest = windows.heaviest(state.ticks, now=now, seconds=spec.workers_down_after)
    return Situation(
        running=scene.base,
        ordered=0 if state.decided is None else state.decided.replicas,
        ready=seen.ready,
        ready_workers=min(s.workers_ready for s in seen.samples if s.ready),
        may_shrink=seen.mostly_known,
        more_pods=guards.allowance(state.orders, spec, now=now),
        lead=state.pod_lead or FIRST_POD_LEAD,
        heaviest=heaviest * outlook.workers.total,
    )


def _verdict(scene: _Scene, move: Move, outlook: Outlook, *, age: float) -> Verdict:
    size, running, spec = move.size, scene.running, scene.spec
    more = size.workers > running.workers or size.replicas > running.replicas
    fewer = size.workers < running.workers or size.replicas < running.replicas
    if more or fewer:
        if more and fewer:
            return Verdict.REBALANCED
        return Verdict.SCALED_UP if more else Verdict.SCALED_DOWN
    if move.rate_limited or outlook.need.binding is Binding.CEILING:
        return Verdict.LIMITED
    if not (move.workers_held or move.replicas_held):
        return Verdict.STEADY
    if not scene.seen.mostly_known:
        return Verdict.HOLDING
    young = (move.workers_held and age <= spec.workers_down_after) or (
        move.replicas_held and age <= spec.replicas_down_after
    )
    return Verdict.WARMING_UP if young else Verdict.STABILIZING


def _account(scene: _Scene, before: State, state: State, answer: _Answer) -> State:
    """Remember what was ordered and what it costs."""
    size, now = answer.size, scene.now
    spend = savings.add(
        state.spend,
        scene.spec,
        before.decided or size,
        seconds=0.0 if before.now is None else now - before.now,
        now=size,
    )
    ordered = 0 if before.decided is None else before.decided.replicas
    known = max(scene.base.replicas, ordered)
    state = learn.ordered(state, before=known, after=size.replicas, now=now)
    return replace(state, decided=size, spend=spend)


def _tell(scene: _Scene, state: State, answer: _Answer) -> Decision:
    outlook = answer.outlook
    priced = worker_use.priced(scene.wishes, state.use)
    facts = Facts(
        spec=scene.spec,
        state=state,
        fleet=scene.fleet,
        seen=scene.seen,
        outlook=outlook,
        rate_limited=answer.rate_limited,
        size=answer.size,
        now=scene.now,
    )
    return Decision(
        workers=answer.size.workers,
        replicas=answer.size.replicas,
        verdict=answer.verdict,
        message=answer.message,
        need=_held_need(state, answer.size) if outlook is None else outlook.need,
        load=NOTHING_KNOWN if outlook is None else outlook.load,
        conditions=conditions(facts),
        state=state,
        worker_cpu=priced.worker_cpu,
        worker_memory=priced.worker_memory,
    )


def _held_need(state: State, size: Size) -> Need:
    return Need(
        workers=size.total,
        binding=Binding.HELD,
        demand=None,
        service_demand=None if state.service is None else state.service.seconds,
        target_utilization=CAUTIOUS,
    )
