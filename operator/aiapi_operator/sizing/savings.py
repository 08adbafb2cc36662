"""Savings: the cost of the fleet compared with a static fleet sized for the peak.

10 workers for 50 minutes and 40 for 10, in 2 pods throughout, are 15 worker-hours and 2 pod-hours;
the static fleet of 2 x 20 is 40 and 2. At 0.0167 per worker-hour and 0.0036 per pod-hour: 0.258
against 0.675, so 62 % saved, 0.417 per hour, 304 per month.
"""

from dataclasses import dataclass, replace

from aiapi_operator.sizing import plan
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.state import Size, Usage

HOURS_PER_MONTH = 730.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """Savings since observation began, compared with the ``baseline`` fleet."""

    percent: float
    per_month: float
    currency: str
    baseline: Size
    baseline_is_peak: bool
    """Whether the baseline is the largest fleet so far; otherwise it is set in the spec."""
    cost_hour: float
    """Mean cost per hour of the fleet that ran."""
    baseline_hour: float
    worker_seconds: float
    baseline_worker_seconds: float


def add(usage: Usage, spec: SizingSpec, size: Size, *, seconds: float, decided: Size) -> Usage:
    """Adds ``size`` for ``seconds``, and updates the peak if ``decided`` is the most expensive
    fleet."""
    peak = usage.peak
    if peak is None or plan.hourly_cost(spec, decided) > plan.hourly_cost(spec, peak):
        peak = decided
    return replace(
        usage,
        seconds=usage.seconds + seconds,
        worker_seconds=usage.worker_seconds + seconds * size.total,
        pod_seconds=usage.pod_seconds + seconds * size.replicas,
        peak=peak,
    )


def baseline(spec: SizingSpec, peak: Size) -> Size:
    """The static fleet to compare with: each number from the spec, or from the peak."""
    return Size(
        workers=spec.price.baseline_workers or peak.workers,
        replicas=spec.price.baseline_replicas or peak.replicas,
    )


def savings(spec: SizingSpec, usage: Usage) -> Savings | None:
    """The savings, or None before anything was measured.

    A baseline that is smaller than what ran gives a negative number.
    """
    if usage.peak is None or usage.seconds <= 0:
        return None
    static = baseline(spec, usage.peak)
    static_hour = plan.hourly_cost(spec, static)
    pods = usage.pod_seconds / usage.seconds * plan.pod_hourly_cost(spec)
    workers = usage.worker_seconds / usage.seconds * plan.worker_hourly_cost(spec)
    priced = spec.price.cpu_hour + spec.price.memory_gib_hour > 0
    saved = static_hour - (pods + workers)
    return Savings(
        percent=100 * saved / static_hour if static_hour > 0 else 0.0,
        per_month=saved * HOURS_PER_MONTH if priced else 0.0,
        currency=spec.price.currency,
        baseline=static,
        baseline_is_peak=static == usage.peak,
        cost_hour=pods + workers if priced else 0.0,
        baseline_hour=static_hour if priced else 0.0,
        worker_seconds=usage.worker_seconds,
        baseline_worker_seconds=static.total * usage.seconds,
    )
