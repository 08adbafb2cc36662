"""The entry point of the right-sizer: computes the desired fleet, and why, from one tick's inputs.

Pure: the same arguments give the same result. Nothing in this package reads a clock.
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
    """The chosen size with its verdict and message."""

    size: Size
    verdict: Verdict
    message: str
    assessment: Assessment | None = None
    rate_limited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _TickInputs:
    """The inputs of one tick: specs, samples, and the running fleet."""

    user_spec: SizingSpec
    """The spec as the user wrote it."""
    spec: SizingSpec
    """The spec with all floors that apply now."""
    fleet: Fleet
    seen: FleetSamples
    now: float
    running: Size
    """The running fleet as the pods report it; a restarted pod may be at the template's size."""
    base: Size
    """The size that moves start from: what runs, or more workers if more were decided."""


def decide(spec: SizingSpec, fleet: Fleet, state: State, now: float) -> Decision:
    """The desired fleet.

    Verdict and message compare it with the running fleet. In ``Recommend`` mode the result is what
    ``Auto`` would do. ``Verdict.HOLDING`` and ``WARMING_UP`` never shrink anything. If no pod
    answered, ``workers`` is only a guess: do not apply it to pods that did not answer.
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
    """The spec with schedule and memory floors."""
    return floors.apply(
        spec,
        pod_lead=state.pod_lead or FIRST_POD_LEAD,
        memory_pods=int(peaks.peak(state.memory_pods) or 0),
    )


def _handle_clock_reset(state: State, now: float) -> tuple[float, State]:
    """Restarts from the checkpoint when the clock went back: remembered times are invalid."""
    if not isfinite(now):
        return (0.0 if state.now is None else state.now), state
    if state.now is not None and now < state.now:
        return now, replace(
            restore.initial_state(restore.checkpoint_of(state)), decided=state.decided
        )
    return now, state


def _observe(spec: SizingSpec, fleet: Fleet, state: State, now: float) -> _TickInputs:
    seen = rates.validate(fleet, now=now, interval=spec.interval)
    # After a restart the status has the last decision: its workers may still be starting.
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
    """Adds this tick's need, or the running size if the need is unknown, to the windows."""
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
    """Keeps the running fleet while the load is unknown."""
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
    """The running fleet and the limits on a move."""
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
    """Records the ordered pods and the cost."""
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
