"""Savings: the cost of the fleet compared with a static fleet for the busiest minute served.

10 workers for 50 minutes and 40 for 10, in 2 pods throughout, are 15 worker-hours and 2 pod-hours;
the static fleet of 2 x 20 is 40 and 2. At 0.0167 per worker-hour and 0.0036 per pod-hour: 0.258
against 0.675, so 62 % saved, 0.417 per hour, 304 per month.

The baseline is the fleet that the *answered* requests needed (usage.py), so a need that was not
real saves nothing. Nothing is reported before an hour has been observed: there is no peak to
compare with.

While the objective is missed or requests fail, the saving is withheld: a fleet that is too small
would look like the best one. Costs are still reported.
"""

from dataclasses import dataclass
from enum import StrEnum

from aiapi_operator.sizing import plan
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.learners.failed_requests import FailedRequests
from aiapi_operator.sizing.learners.usage import Usage
from aiapi_operator.sizing.learners.worker_use import WorkerUse, priced
from aiapi_operator.sizing.state import Size, State

HOURS_PER_MONTH = 730.0
"""Hours. A year of 365 days has 8,760, divided by 12."""
MIN_SECONDS = 3600.0
"""Seconds observed before savings are reported. A shorter time rarely includes a peak."""


class Withheld(StrEnum):
    """Why a saving is not shown. Part of the status."""

    REQUESTS_FAILING = "RequestsFailing"
    OBJECTIVE_MISSED = "ObjectiveMissed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """Savings since the start of observation, compared with the ``baseline`` fleet."""

    percent: float | None
    """None while ``withheld``, as ``per_month``."""
    per_month: float | None
    withheld: Withheld | None = None
    missed_share: float = 0.0
    """Share of the observed time in which the objective was missed or requests failed, 0..1."""
    currency: str
    baseline: Size
    baseline_is_peak: bool
    """Whether the baseline is the fleet for the busiest minute; otherwise the spec sets it."""
    cost_hour: float
    """Mean cost per hour of the fleet that ran."""
    baseline_hour: float
    worker_seconds: float
    baseline_worker_seconds: float


def baseline(spec: SizingSpec, peak: Size) -> Size:
    """The static fleet to compare with: each number from the spec if set, else from the peak."""
    return Size(
        workers=spec.price.baseline_workers or peak.workers,
        replicas=spec.price.baseline_replicas or peak.replicas,
    )


def savings(spec: SizingSpec, state: State) -> Savings | None:
    """The savings so far; None before an hour has been observed.

    A fleet that cost more than the baseline gives a negative number.
    """
    usage: Usage | None = state.memory.get(Usage)
    if usage is None or usage.peak is None or usage.seconds < MIN_SECONDS:
        return None
    spec = priced(spec, state.memory.get(WorkerUse))
    static = baseline(spec, usage.peak)
    static_hour = plan.hourly_cost(spec, static)
    pods = usage.pod_seconds / usage.seconds * plan.pod_hourly_cost(spec)
    workers = usage.worker_seconds / usage.seconds * plan.worker_hourly_cost(spec)
    paid = spec.price.cpu_hour + spec.price.memory_gib_hour > 0
    saved = static_hour - (pods + workers)
    percent = 100 * saved / static_hour if static_hour > 0 else 0.0
    reason = withheld(usage, state.memory.get(FailedRequests))
    return Savings(
        percent=None if reason else percent,
        per_month=None if reason else saved * HOURS_PER_MONTH if paid else 0.0,
        withheld=reason,
        missed_share=min(1.0, usage.missed_seconds / usage.seconds),
        currency=spec.price.currency,
        baseline=static,
        baseline_is_peak=static == usage.peak,
        cost_hour=pods + workers if paid else 0.0,
        baseline_hour=static_hour if paid else 0.0,
        worker_seconds=usage.worker_seconds,
        baseline_worker_seconds=static.total * usage.seconds,
    )


def withheld(usage: Usage, failed: FailedRequests | None) -> Withheld | None:
    """Why the saving is not shown now, if it is not."""
    if failed is not None and failed.latch.on:
        return Withheld.REQUESTS_FAILING
    return Withheld.OBJECTIVE_MISSED if usage.missing.on else None
