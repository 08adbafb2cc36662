"""Updates the state from one tick's samples. Takes no decision."""

from dataclasses import replace

from aiapi_operator.sizing import (
    base_latency,
    capacity,
    demand,
    latch,
    limits,
    memory,
    peaks,
    profile,
    queueing,
    rates,
    retries,
    service_demand,
    windows,
    worker_use,
)
from aiapi_operator.sizing.inputs import LatencyObjective, SizingSpec
from aiapi_operator.sizing.rates import FleetSamples
from aiapi_operator.sizing.state import (
    FAST_WINDOW,
    BaseLatency,
    BlockedLoop,
    FailureHistory,
    Latch,
    PodOrder,
    ServiceDemand,
    State,
    Tick,
    WorkerUse,
)

BLOCKED_REMEMBERED = 60.0
MAX_LEAD = 600.0
IN_REACH = 0.9
"""Relative base latency up to which queueing can cause a miss of the objective."""
WITHIN = 0.95
"""Relative base latency below which the objective is clearly feasible again."""
INFEASIBLE_AFTER = 10.0
"""Seconds that the base must exceed the threshold before the objective is infeasible."""


def learn(spec: SizingSpec, seen: FleetSamples, state: State, *, now: float) -> State:
    """The state updated with this tick."""
    measured = rates.measure(seen, state, now=now)
    tick, failures = measured.tick, state.failures
    if tick is not None:
        judged = retries.remove_retries(tick, state.ticks, failures)
        tick, failures = judged.tick, judged.failures
    ticks = windows.append(state.ticks, tick, now=now)
    state = replace(
        _learn_pod_lead(state, seen, now=now),
        failures=failures,
        since=now if state.since is None else state.since,
        now=now,
        samples=measured.samples,
        merged=measured.merged,
        ticks=ticks,
        unknown_since=_unknown_since(state, seen, now),
        blocked=_blocked(state, seen, now),
    )
    if tick is None:
        return state
    daily, slot = profile.add_tick(state.profile, state.slot, tick, at=spec.time_of_day)
    service = _service_demand(state, ticks)
    base = base_latency.estimate(
        ticks, objective=spec.objective, service=service, last=state.base, now=now
    )
    state = replace(
        state,
        service=service,
        base=base,
        infeasible=_infeasible(state.infeasible, base, spec.objective, now=now),
        forecasts=demand.score_forecasts(state.forecasts, ticks, now=now),
        thread_costs=limits.learn(ticks, state.thread_costs),
        profile=daily,
        slot=slot,
    )
    if not is_failing(failures):
        state = _learn_queueing(state, spec.objective, now=now)
    return _learn_use(state, spec, seen, now=now)


def is_failing(failures: FailureHistory | None) -> bool:
    """Whether so many requests fail that measurements do not reflect the cost of a request."""
    return failures is not None and failures.level is not None


def _service_demand(state: State, ticks: tuple[Tick, ...]) -> ServiceDemand | None:
    """The cost of a request. While many fail it may only rise, because failures are cheaper."""
    found, last = service_demand.estimate(ticks, state.service), state.service
    if is_failing(state.failures) and found and last and found.seconds < last.seconds:
        return last
    return found


def _learn_use(state: State, spec: SizingSpec, seen: FleetSamples, *, now: float) -> State:
    """CPU and memory use of workers, and the pods needed for memory."""
    recent = windows.last(state.ticks, now=now, seconds=FAST_WINDOW)
    known = memory.learn(state.memory, seen.samples, seconds=state.ticks[-1].seconds)
    pods = memory.pods(
        known,
        seen.samples,
        in_flight=windows.mean(recent, "in_flight"),
        workers=seen.workers_wanted or spec.workers.min,
    )
    use = WorkerUse()
    if spec.learn_resources:
        target = _target(state, spec.objective)
        use = worker_use.learn(
            state.use,
            spec,
            cpu=worker_use.cpu(
                state.ticks,
                utilization=limits.max_loop_utilization(state.ticks, target.utilization),
            ),
            memory=worker_use.memory(seen.samples),
            now=now,
        )
    return replace(
        state,
        use=use,
        memory=known,
        memory_pods=peaks.push(
            state.memory_pods, time=now, value=pods, window=spec.replicas_down_after
        ),
    )


def _infeasible(
    known: Latch, base: BaseLatency | None, objective: LatencyObjective, *, now: float
) -> Latch:
    """Whether no fleet can meet the objective, with hysteresis."""
    if base is None:
        return known
    part = base.current / objective.threshold
    finding = True if part > 1 else False if part < WITHIN else None
    return latch.update(
        known, finding, now=now, on_after=INFEASIBLE_AFTER, off_after=3 * INFEASIBLE_AFTER
    )


def _target(state: State, objective: LatencyObjective) -> capacity.UtilizationTarget:
    return capacity.target(
        objective,
        service=state.service,
        base_latency=state.base,
        queueing=queueing.planned_factor(state.queueing),
    )


def _learn_queueing(state: State, objective: LatencyObjective, *, now: float) -> State:
    """Learns q from the latency, unless the objective would be missed without queueing."""
    base, service = state.base, state.service
    if base is None or service is None or base.current > IN_REACH * objective.threshold:
        return state
    read = windows.latency(state.ticks, objective.percentile)
    latency = 0.0 if read is None else read.seconds
    if min(latency, latency - _queueing_delay(state, objective, now=now)) > objective.threshold:
        return state
    assumed = queueing.PlanAssumptions(
        objective=objective,
        k=capacity.tail(service.seconds, objective),
        base=base.current,
        since=base.moved,
        utilization=_target(state, objective).utilization,
    )
    found = queueing.learn(state.queueing, state.ticks, assumed, now=now)
    return replace(state, queueing=found)


def _queueing_delay(state: State, objective: LatencyObjective, *, now: float) -> float:
    recent = windows.last(state.ticks, now=now, seconds=FAST_WINDOW)
    return capacity.measured_queueing_delay(
        0.0 if state.service is None else state.service.seconds,
        objective,
        arrivals=windows.mean(recent, "arrivals"),
        in_flight=windows.mean(recent, "in_flight"),
        upstream=max(windows.mean(recent, "upstream"), limits.calls_in_threads(recent)),
    )


def _unknown_since(state: State, seen: FleetSamples, now: float) -> float | None:
    if not seen.unknown:
        return None
    return now if state.unknown_since is None else state.unknown_since


def _blocked(state: State, seen: FleetSamples, now: float) -> BlockedLoop | None:
    for sample in seen.samples:
        if sample.workers_blocked > 0:
            return BlockedLoop(time=now, where=sample.blocked_at, pod=sample.pod)
    last = state.blocked
    return last if last is not None and last.time >= now - BLOCKED_REMEMBERED else None


def _learn_pod_lead(state: State, seen: FleetSamples, *, now: float) -> State:
    """Learns the pod lead time from a completed order: new and old value weigh the same."""
    order = state.awaited
    if order is None:
        return state
    if now - order.time > MAX_LEAD:
        return replace(state, awaited=None)
    if seen.ready < order.replicas:
        return state
    seconds = now - order.time
    lead = seconds if state.pod_lead is None else (state.pod_lead + seconds) / 2
    return replace(state, awaited=None, pod_lead=lead)


def record_order(state: State, *, before: int, after: int, now: float) -> State:
    """Records that pods were ordered, or that an order was canceled."""
    orders = tuple(order for order in state.orders if order.time > now - 60.0)
    if after > before:
        order = PodOrder(time=now, added=after - before, replicas=after)
        return replace(state, orders=(*orders, order), awaited=state.awaited or order)
    awaited = state.awaited if state.awaited and after >= state.awaited.replicas else None
    return replace(state, orders=orders, awaited=awaited)
