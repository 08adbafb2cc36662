"""Converts the user's spec to plain numbers for the right-sizer."""

from aiapi_operator.api import AIApiSpec, schedule
from aiapi_operator.api.duration import parse_duration
from aiapi_operator.api.quantity import parse_bytes, parse_cores
from aiapi_operator.api.spec import Cost, Objective, ResourceSource
from aiapi_operator.sizing.inputs import (
    Bounds,
    LatencyObjective,
    ObjectiveKind,
    Pricing,
    SizingSpec,
)


def sizing_spec(spec: AIApiSpec, *, time_of_day: float | None = None) -> SizingSpec:
    """The spec in seconds, cores and bytes.

    ``time_of_day`` is in seconds since 1970. Without it, no schedule is active and no daily profile
    is learned. A fleet that may stop altogether is planned with at least one pod: zero.py decides
    when it stops.
    """
    scaling = spec.scaling
    first, *others = objectives(spec.objective)
    schedules = scaling.schedules
    return SizingSpec(
        objective=first,
        other_objectives=tuple(others),
        workers=Bounds(min=spec.workers.min, max=spec.workers.max),
        replicas=Bounds(min=max(1, spec.replicas.min), max=spec.replicas.max),
        worker_cpu=parse_cores(spec.workers.cpu),
        worker_memory=parse_bytes(spec.workers.memory),
        max_concurrency=spec.workers.max_concurrency,
        mode=scaling.mode,
        interval=parse_duration(scaling.interval),
        workers_down_after=parse_duration(scaling.scale_down.workers_after),
        replicas_down_after=parse_duration(scaling.scale_down.replicas_after),
        max_replicas_per_minute=scaling.scale_up.max_replicas_per_minute,
        price=_price(spec.cost),
        learn_resources=spec.workers.resources is ResourceSource.LEARNED,
        floors=() if time_of_day is None else schedule.active(schedules, now=time_of_day),
        upcoming=() if time_of_day is None else schedule.upcoming(schedules, now=time_of_day),
        time_of_day=time_of_day,
    )


def objectives(objective: Objective) -> tuple[LatencyObjective, ...]:
    """One or two objectives: latency unless only firstByte is given, then firstByte."""
    objective = objective.effective
    given = {
        ObjectiveKind.LATENCY: objective.latency,
        ObjectiveKind.FIRST_BYTE: objective.first_byte,
    }
    return tuple(
        LatencyObjective(
            kind=kind, percentile=each.percentile, threshold=parse_duration(each.threshold)
        )
        for kind, each in given.items()
        if each is not None
    )


def _price(cost: Cost) -> Pricing:
    return Pricing(
        cpu_hour=float(cost.cpu_hour),
        memory_gib_hour=float(cost.memory_gib_hour),
        currency=cost.currency,
        baseline_replicas=cost.baseline.replicas,
        baseline_workers=cost.baseline.workers,
    )
