"""The right-sizer's one door: what was seen goes in, the fleet wanted now comes out, with why.

Pure: the same arguments give the same answer. Nothing here or below reads a clock.
"""

from dataclasses import dataclass, replace
from math import isfinite

from aiapi_operator.present.numbers import count
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
from aiapi_operator.sizing.assess import FIRST_POD_LEAD, UNKNOWN_LOAD, Assessment, assess
from aiapi_operator.sizing.capacity import CAUTIOUS_UTILIZATION
from aiapi_operator.sizing.decision import Binding, Decision, Need, Verdict
from aiapi_operator.sizing.diagnose import Facts, conditions
from aiapi_operator.sizing.guards import Move, MoveConstraints
from aiapi_operator.sizing.inputs import Fleet, Mode, SizingSpec
from aiapi_operator.sizing.rates import FleetSamples
from aiapi_operator.sizing.state import Size, State

MAX_PODS = 10**6


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A decision before it is dressed up for people."""

    size: Size
    verdict: Verdict
    message: str
    assessment: Assessment | None = None
    rate_limited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _TickInputs:
    """One tick: the user_spec, what was seen of the fleet, and what runs."""

    user_spec: SizingSpec
    """As the user has them."""
    spec: SizingSpec
    """With all floors that hold now."""
    fleet: Fleet
    seen: FleetSamples
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
    now, state = _handle_clock_reset(state, now)
    inputs = _observe(spec, fleet, state, now)
    learned = learn.learn(spec, inputs.seen, state, now=now)
    inputs = replace(inputs, spec=_with_floors(spec, learned))
    spec = inputs.spec
    assessment = None
    if not inputs.seen.all_unknown:
        replicas = guards.clamp(spec, inputs.base).replicas
        assessment = assess(spec, learned, replicas=replicas, now=now)
    learned = _update_windows(inputs, state, learned, assessment)
    if assessment is not None:
        needs = guards.stabilized_needs(learned.recent, assessment.carry, assessment.soon)
        found = surplus.update(inputs.user_spec, spec, learned, needs.replicas, now=now)
        learned = replace(learned, surplus=found)
    answer = _choose_size(inputs, learned, assessment)
    return _build_decision(inputs, _record_decision(inputs, state, learned, answer), answer)


def _with_floors(spec: SizingSpec, state: State) -> SizingSpec:
    """The spec with the floors that hold beside the user's."""
    return floors.apply(
        spec,
        pod_lead=state.pod_lead or FIRST_POD_LEAD,
        memory_pods=int(peaks.peak(state.memory_pods) or 0),
    )


def _handle_clock_reset(state: State, now: float) -> tuple[float, State]:
    """A clock that went back makes all times in memory worthless: begin anew, as after a start."""
    if not isfinite(now):
        return (0.0 if state.now is None else state.now), state
    if state.now is not None and now < state.now:
        return now, replace(
            restore.initial_state(restore.checkpoint_of(state)), decided=state.decided
        )
    return now, state


def _observe(spec: SizingSpec, fleet: Fleet, state: State, now: float) -> _TickInputs:
    seen = rates.validate(fleet, now=now, interval=spec.interval)
    # After a start the status tells what was decided last: an order may still be on its way.
    decided = fleet.workers if state.decided is None else state.decided.workers
    workers = seen.workers_wanted or decided or spec.workers.min
    replicas = min(MAX_PODS, max(0, fleet.replicas))
    return _TickInputs(
        user_spec=spec,
        spec=spec,
        fleet=fleet,
        seen=seen,
        now=now,
        running=Size(workers=max(1, workers), replicas=replicas),
        base=Size(workers=max(1, workers, decided), replicas=replicas),
    )


def _update_windows(
    inputs: _TickInputs, before: State, state: State, assessment: Assessment | None
) -> State:
    """Put this tick's need, or what ran while it was not known, into the windows."""
    spec, now = inputs.spec, inputs.now
    recent = state.recent
    gap = before.now is None or now - before.now > max(5 * spec.interval, 15.0)
    if assessment is None or gap:
        recent = guards.record_running(recent, spec, inputs.base, now=now)
    if assessment is None:
        return replace(state, recent=recent)
    recent = guards.record_need(recent, spec, assessment.workers.total, now=now)
    at = _constraints(inputs, state, assessment)
    found = guards.stabilized_needs(recent, assessment.carry, assessment.soon)
    recent = guards.update_replica_move(recent, spec, found, at, now=now)
    forecasts = demand.record_forecast(
        state.forecasts,
        assessment.demand,
        now=now,
        lead=assessment.workers.lead,
        hold=spec.workers_down_after,
    )
    return replace(state, recent=recent, forecasts=forecasts)


def _choose_size(inputs: _TickInputs, state: State, assessment: Assessment | None) -> _Outcome:
    if inputs.spec.mode is Mode.PAUSED:
        step = reasons.describe_change(inputs.running, inputs.running)
        message = f"paused by spec.scaling.mode; {step}"
        return _Outcome(inputs.running, Verdict.PAUSED, message, assessment)
    if assessment is None:
        return _hold(inputs, state)
    return _move(inputs, state, assessment)


def _hold(inputs: _TickInputs, state: State) -> _Outcome:
    """Nothing is known: keep what runs."""
    size = guards.clamp(inputs.spec, inputs.base)
    step = reasons.describe_change(inputs.running, size)
    seen = inputs.seen
    if seen.ready == 0:
        verdict = Verdict.HOLDING if state.ticks else Verdict.WARMING_UP
        return _Outcome(size, verdict, f"no pod is ready yet; {step}")
    if seen.all_unknown:
        silent = reasons.format_silent_pods(tuple((pod.pod, pod.reason) for pod in seen.unknown))
        message = f"no metrics from any of {count(seen.ready, 'ready pod')} ({silent})"
        return _Outcome(size, Verdict.HOLDING, f"{message}; {step}")
    fresh = state.since is not None and inputs.now - state.since <= inputs.spec.interval
    verdict = Verdict.WARMING_UP if fresh else Verdict.HOLDING
    return _Outcome(size, verdict, f"waiting for a second sample to compute rates; {step}")


def _move(inputs: _TickInputs, state: State, assessment: Assessment) -> _Outcome:
    spec, seen, now = inputs.spec, inputs.seen, inputs.now
    needs = guards.stabilized_needs(state.recent, assessment.carry, assessment.soon)
    since = now if state.since is None else state.since
    move = guards.move(spec, needs, _constraints(inputs, state, assessment))
    verdict = _verdict(inputs, move, assessment, age=now - since)
    message = reasons.describe(spec, assessment, move, verdict=verdict, running=inputs.running)
    if verdict is Verdict.HOLDING:
        silent = reasons.format_silent_pods(tuple((pod.pod, pod.reason) for pod in seen.unknown))
        message += f"; no scale-down while ready pods cannot be scraped ({silent})"
    return _Outcome(move.size, verdict, message, assessment, move.rate_limited)


def _constraints(inputs: _TickInputs, state: State, assessment: Assessment) -> MoveConstraints:
    """What runs, and what bars a move."""
    spec, seen, now = inputs.spec, inputs.seen, inputs.now
    heaviest = windows.heaviest(state.ticks, now=now, seconds=spec.workers_down_after)
    return MoveConstraints(
        running=inputs.base,
        ordered=0 if state.decided is None else state.decided.replicas,
        ready=seen.ready,
        ready_workers=min(s.workers_ready for s in seen.samples if s.ready),
        may_shrink=seen.mostly_known,
        more_pods=guards.pods_allowed(state.orders, spec, now=now),
        lead=state.pod_lead or FIRST_POD_LEAD,
        heaviest=heaviest * assessment.workers.total,
    )


def _verdict(inputs: _TickInputs, move: Move, assessment: Assessment, *, age: float) -> Verdict:
    size, running, spec = move.size, inputs.running, inputs.spec
    more = size.workers > running.workers or size.replicas > running.replicas
    fewer = size.workers < running.workers or size.replicas < running.replicas
    if more or fewer:
        if more and fewer:
            return Verdict.REBALANCED
        return Verdict.SCALED_UP if more else Verdict.SCALED_DOWN
    if move.rate_limited or assessment.need.binding is Binding.CEILING:
        return Verdict.LIMITED
    if not (move.workers_held or move.replicas_held):
        return Verdict.STEADY
    if not inputs.seen.mostly_known:
        return Verdict.HOLDING
    young = (move.workers_held and age <= spec.workers_down_after) or (
        move.replicas_held and age <= spec.replicas_down_after
    )
    return Verdict.WARMING_UP if young else Verdict.STABILIZING


def _record_decision(inputs: _TickInputs, before: State, state: State, answer: _Outcome) -> State:
    """Remember what was ordered and what it costs."""
    size, now = answer.size, inputs.now
    usage = savings.add(
        state.usage,
        inputs.spec,
        before.decided or size,
        seconds=0.0 if before.now is None else now - before.now,
        decided=size,
    )
    ordered = 0 if before.decided is None else before.decided.replicas
    known = max(inputs.base.replicas, ordered)
    state = learn.record_order(state, before=known, after=size.replicas, now=now)
    return replace(state, decided=size, usage=usage)


def _build_decision(inputs: _TickInputs, state: State, answer: _Outcome) -> Decision:
    assessment = answer.assessment
    priced = worker_use.with_learned_resources(inputs.user_spec, state.use)
    facts = Facts(
        spec=inputs.spec,
        state=state,
        fleet=inputs.fleet,
        seen=inputs.seen,
        assessment=assessment,
        rate_limited=answer.rate_limited,
        size=answer.size,
        now=inputs.now,
    )
    return Decision(
        workers=answer.size.workers,
        replicas=answer.size.replicas,
        verdict=answer.verdict,
        message=answer.message,
        need=_held_need(state, answer.size) if assessment is None else assessment.need,
        load=UNKNOWN_LOAD if assessment is None else assessment.load,
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
        target_utilization=CAUTIOUS_UTILIZATION,
    )
