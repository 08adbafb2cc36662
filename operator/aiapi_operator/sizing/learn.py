"""Learn: one tick's samples go into memory. No decision is taken here."""

from dataclasses import replace

from aiapi_operator.sizing import capacity, demand, rates, service_demand, windows
from aiapi_operator.sizing.inputs import Objective, SizingSpec
from aiapi_operator.sizing.rates import Seen
from aiapi_operator.sizing.state import FAST_WINDOW, Blocked, Order, State

BLOCKED_REMEMBERED = 60.0
LONGEST_LEAD = 600.0
IN_REACH = 0.9
"""Part of the threshold up to which the base latency leaves something for the loop to miss."""


def learn(spec: SizingSpec, seen: Seen, state: State, *, now: float) -> State:
    """The state with this tick in it."""
    tick, samples = rates.measure(seen, state, now=now)
    ticks = windows.keep(state.ticks, tick, now=now)
    state = replace(
        _lead(state, seen, now=now),
        since=now if state.since is None else state.since,
        now=now,
        samples=samples,
        ticks=ticks,
        unknown_since=_unknown_since(state, seen, now),
        blocked=_blocked(state, seen, now),
    )
    if tick is None:
        return state
    service = service_demand.estimate(ticks, state.service)
    base = capacity.base(ticks, objective=spec.objective, service=service, last=state.base, now=now)
    recent = windows.last(ticks, now=now, seconds=FAST_WINDOW)
    arrivals = windows.mean(recent, "arrivals")
    state = replace(
        state,
        service=service,
        base=base,
        forecasts=demand.settle(state.forecasts, arrivals, now=now),
    )
    return _correct(state, spec.objective, now=now)


def _correct(state: State, objective: Objective, *, now: float) -> State:
    read = windows.latency(state.ticks, objective.percentile)
    if read is None or state.base is None:
        return state
    planned = capacity.target(
        objective,
        service=state.service,
        base_latency=state.base,
        correction=state.correction,
    )
    rho = windows.busiest(state.ticks, now=now, latency=read.seconds)
    threshold = objective.threshold
    missed = read.seconds > threshold
    upstream_alone = missed and read.seconds - _queued(state, objective, now=now) > threshold
    corrected = capacity.correct(
        capacity.Correction(state.correction, state.corrected_at),
        missed=missed,
        # A loop that is busier than planned is short of workers: that says nothing about rho*.
        busy=0.8 * planned.utilization <= rho <= planned.utilization + 0.05,
        objective_in_reach=not upstream_alone and state.base.now <= IN_REACH * threshold,
        now=now,
    )
    return replace(state, correction=corrected.factor, corrected_at=corrected.time)


def _queued(state: State, objective: Objective, *, now: float) -> float:
    recent = windows.last(state.ticks, now=now, seconds=FAST_WINDOW)
    return capacity.queued(
        0.0 if state.service is None else state.service.seconds,
        objective,
        arrivals=windows.mean(recent, "arrivals"),
        in_flight=windows.mean(recent, "in_flight"),
        upstream=windows.mean(recent, "upstream"),
    )


def _unknown_since(state: State, seen: Seen, now: float) -> float | None:
    if not seen.unknown:
        return None
    return now if state.unknown_since is None else state.unknown_since


def _blocked(state: State, seen: Seen, now: float) -> Blocked | None:
    for sample in seen.samples:
        if sample.workers_blocked > 0:
            return Blocked(time=now, where=sample.blocked_at, pod=sample.pod)
    last = state.blocked
    return last if last is not None and last.time >= now - BLOCKED_REMEMBERED else None


def _lead(state: State, seen: Seen, *, now: float) -> State:
    """Learn how long a pod takes from the order that was filled: new and old weigh the same."""
    order = state.awaited
    if order is None:
        return state
    if now - order.time > LONGEST_LEAD:
        return replace(state, awaited=None)
    if seen.ready < order.replicas:
        return state
    seconds = now - order.time
    lead = seconds if state.pod_lead is None else (state.pod_lead + seconds) / 2
    return replace(state, awaited=None, pod_lead=lead)


def ordered(state: State, *, before: int, after: int, now: float) -> State:
    """Remember that pods were ordered, or that an order was taken back."""
    orders = tuple(order for order in state.orders if order.time > now - 60.0)
    if after > before:
        order = Order(time=now, added=after - before, replicas=after)
        return replace(state, orders=(*orders, order), awaited=state.awaited or order)
    awaited = state.awaited if state.awaited and after >= state.awaited.replicas else None
    return replace(state, orders=orders, awaited=awaited)
