"""The user's spec as the right-sizer reads it: numbers in place of notations."""

from aiapi_operator.api import AIApiSpec
from aiapi_operator.api.duration import parse_duration
from aiapi_operator.api.quantity import parse_bytes, parse_cores
from aiapi_operator.api.spec import Cost
from aiapi_operator.sizing.inputs import Bounds, Mode, Objective, Price, SizingSpec


def sizing_spec(spec: AIApiSpec) -> SizingSpec:
    """Seconds, cores and bytes; the models have filled in all defaults."""
    latency, scaling = spec.objective.latency, spec.scaling
    return SizingSpec(
        objective=Objective(
            percentile=latency.percentile, threshold=parse_duration(latency.threshold)
        ),
        workers=Bounds(min=spec.workers.min, max=spec.workers.max),
        replicas=Bounds(min=spec.replicas.min, max=spec.replicas.max),
        worker_cpu=parse_cores(spec.workers.cpu),
        worker_memory=parse_bytes(spec.workers.memory),
        max_concurrency=spec.workers.max_concurrency,
        mode=Mode(scaling.mode.value),
        interval=parse_duration(scaling.interval),
        workers_down_after=parse_duration(scaling.scale_down.workers_after),
        replicas_down_after=parse_duration(scaling.scale_down.replicas_after),
        max_replicas_per_minute=scaling.scale_up.max_replicas_per_minute,
        price=_price(spec.cost),
    )


def _price(cost: Cost) -> Price:
    return Price(
        cpu_hour=float(cost.cpu_hour),
        memory_gib_hour=float(cost.memory_gib_hour),
        currency=cost.currency,
        baseline_replicas=cost.baseline.replicas,
        baseline_workers=cost.baseline.workers,
    )
