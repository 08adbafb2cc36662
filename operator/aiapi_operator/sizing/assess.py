"""Assesses the load and computes the need from the remembered samples."""

from dataclasses import dataclass, replace
from math import ceil

from aiapi_operator.sizing import (
    capacity,
    demand,
    limits,
    need,
    plan,
    profile,
    queueing,
    replica_moves,
    windows,
)
from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.decision import Binding, Load, Need
from aiapi_operator.sizing.demand import Demand
from aiapi_operator.sizing.histogram import Percentile
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.limits import ThreadPoolNeed
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.state import FAST_WINDOW, ServiceDemand, State, Tick

WORKER_LEAD = 1.0
"""Seconds until a new worker serves, in addition to the tick that orders it."""
FIRST_POD_LEAD = 10.0
"""Seconds until a new pod serves, assumed before it has been measured in this fleet."""
UNKNOWN_LOAD = Load(
    arrivals_per_second=None,
    completed_per_second=None,
    in_flight=None,
    loop_utilization=None,
    latency=None,
    upstream_share=None,
    shed_per_second=None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The current load and the need that follows from it."""

    load: Load
    latency: Percentile | None
    loop: float
    """Loop seconds used per second by all workers."""
    demand: Demand
    service: ServiceDemand | None
    target: UtilizationTarget
    workers: need.WorkerNeed
    soon: RequiredWorkers
    """The need at the time when pods ordered now have their share of the load."""
    need: Need
    threads: ThreadPoolNeed | None = None
    """The thread pool that needs the most workers, if requests need threads."""
    limit: int = 0
    """Requests that a worker handles concurrently; 0 means no limit."""
    retried: float = 0.0
    """Arrivals per second that are treated as retries and excluded from the demand."""

    @property
    def carry(self) -> RequiredWorkers:
        """The need in the form that the planner takes."""
        return _carry(self.workers)


def _carry(wanted: need.WorkerNeed) -> RequiredWorkers:
    return RequiredWorkers(wanted.total, wanted.survivors)


def stale_after(spec: SizingSpec) -> float:
    """Seconds without a rate after which the load is unknown."""
    return max(3 * spec.interval, 10.0)


def assess(spec: SizingSpec, state: State, *, replicas: int, now: float) -> Assessment | None:
    """What the fleet needs, or None if there are no recent samples."""
    ticks = state.ticks
    if not ticks or ticks[-1].time < now - stale_after(spec):
        return None
    recent = windows.last(ticks, now=now, seconds=FAST_WINDOW)
    latency = windows.latency(ticks, spec.objective.percentile)
    load = _load(recent, latency)
    daily = profile.forecast(state.profile, at=spec.time_of_day)
    coming = demand.estimate(ticks, state.forecasts, daily)
    target = capacity.target(
        spec.objective,
        service=state.service,
        base_latency=state.base,
        queueing=queueing.planned_factor(state.queueing),
    )
    loop = windows.mean(recent, "loop")
    certain = windows.certain_loop(recent, state.service.seconds if state.service else None)
    pool = limits.threads(recent, state.thread_costs, level=coming.level)
    carried = need.MeasuredLoad(
        loop=certain,
        in_flight=limits.unshed_in_flight(recent, load.in_flight or 0.0),
        service=state.service,
        limit=limits.concurrency(recent, spec.max_concurrency),
        threads=pool,
    )

    def after(lead: float) -> need.WorkerNeed:
        return need.workers(demand=coming, load=carried, target=target, lead=lead)

    wanted = after(spec.interval + WORKER_LEAD)
    pods_ready = spec.interval + (state.pod_lead or FIRST_POD_LEAD)
    soon = after(pods_ready + replica_moves.SETTLES)
    if plan.workers_for(_carry(wanted), replicas) > spec.workers.max:
        # Workers alone do not suffice: plan for the load at the time new pods are ready.
        wanted = after(pods_ready)
    return Assessment(
        load=load if pool is None else replace(load, threads_utilization=pool.utilization),
        latency=latency,
        loop=loop,
        demand=coming,
        service=state.service,
        target=target,
        workers=wanted,
        soon=_carry(soon),
        threads=pool,
        limit=carried.limit,
        retried=windows.mean(recent, "retried"),
        need=_need(spec, wanted, state, target),
    )


def _load(recent: tuple[Tick, ...], latency: Percentile | None) -> Load:
    in_flight = windows.mean(recent, "in_flight")
    upstream = windows.mean(recent, "upstream")
    return Load(
        arrivals_per_second=windows.mean(recent, "arrivals") + windows.mean(recent, "retried"),
        completed_per_second=windows.mean(recent, "completed"),
        in_flight=in_flight,
        loop_utilization=windows.mean(recent, "busiest"),
        latency=None if latency is None else latency.seconds,
        upstream_share=min(1.0, upstream / in_flight) if in_flight > 0 else None,
        shed_per_second=windows.mean(recent, "shed"),
    )


def _need(
    spec: SizingSpec, wanted: need.WorkerNeed, state: State, target: UtilizationTarget
) -> Need:
    floor = spec.workers.min * spec.replicas.min
    asked = ceil(wanted.total - 1e-9)
    binding = wanted.binding
    if asked < floor:
        by_memory = spec.memory_pods >= spec.replicas.min > 1
        binding = Binding.MEMORY if by_memory else Binding.FLOOR
    elif asked > spec.workers.max * spec.replicas.max:
        binding = Binding.CEILING
    return Need(
        workers=max(floor, asked),
        binding=binding,
        demand=wanted.expected,
        service_demand=None if state.service is None else state.service.seconds,
        target_utilization=target.utilization,
    )
