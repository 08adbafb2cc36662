"""What an AIApi would have cost under other objectives, and how often it would have met them.

For ``kubectl aiapi simulate`` and other callers that have an AIApi and its traffic: no oracle,
no faults, one row per objective and policy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp
from statistics import NormalDist

from aiapi_operator.api import AIApiSpec
from aiapi_operator.api.duration import format_duration, is_duration, parse_duration
from aiapi_operator.api.status import AIApiStatus, LoadStatus
from aiapi_operator.simulate.compare import seconds_to_zero, simulation
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.scenario import LoopTimeSpec, ServiceModel, UpstreamModelSpec
from aiapi_operator.simulate.traces import Trace
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.spec import sizing_spec

MIN_UPSTREAM = 0.001
"""Minimum upstream latency, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfRow:
    """One policy under one objective, with one minimum of pods."""

    objective: LatencyObjective
    result: RunResult
    min_replicas: int
    cost: float
    """Cost of the simulated time at the spec's prices, in ``spec.cost.currency``."""
    saving: float | None
    """Fraction saved relative to ``static`` under the same objective; None without ``static``."""


def what_if(  # noqa: PLR0913 - each can be varied
    trace: Trace,
    spec: AIApiSpec,
    objectives: Sequence[LatencyObjective],
    *,
    service: ServiceModel,
    policies: Sequence[str] = ("aiapi", "static"),
    minimum: AIApiSpec | None = None,
    seed: int = 1,
    on_result: Callable[[LatencyObjective, RunResult], None] = lambda *_: None,
) -> list[WhatIfRow]:
    """Simulate the trace once per objective and policy, in that order.

    ``minimum`` is the spec with another minimum of pods: it is simulated with the first objective.
    ``on_result`` is called after each run: a day of traffic takes about half a minute.
    """
    load = Workload(trace=trace, service=service, seed=seed)
    rows: list[WhatIfRow] = []
    for index, objective in enumerate(objectives):
        tried = [(spec, name) for name in policies]
        if minimum is not None and index == 0:
            tried.insert(1, (minimum, policies[0]))
        done = []
        for each, name in tried:
            done.append(_row(load, each, objective, name))
            on_result(objective, done[-1].result)
        static = next((row.cost for row in done if row.result.policy == "static"), None)
        rows += [replace(row, saving=1 - row.cost / static if static else None) for row in done]
    return rows


def _row(load: Workload, spec: AIApiSpec, objective: LatencyObjective, name: str) -> WhatIfRow:
    sizing = sizing_spec(spec).with_objective(objective)
    result = simulation(
        name,
        GroundTruth(load, sizing),
        pod_workers=max(1, spec.workers.min),
        to_zero_after=seconds_to_zero(spec),
    ).run()
    pods = result.pod_hours * plan.pod_hourly_cost(sizing)
    workers = result.worker_hours * plan.worker_hourly_cost(sizing)
    return WhatIfRow(
        objective=objective,
        result=result,
        min_replicas=spec.replicas.min,
        cost=pods + workers,
        saving=None,
    )


def service_from_status(status: AIApiStatus) -> ServiceModel | None:
    """A service model from measurements in the status; None if nothing was measured yet.

    The status has the loop time per request and the latency at one percentile. The spread of the
    upstream is not known and comes from the model's defaults. With 12 ms of loop time and a p95
    of 512 ms the upstream has a p95 of 500 ms. Without a latency, the time to the first byte
    counts: the duration of streams costs no loop time.
    """
    demand = None if status.need is None else status.need.service_demand
    load = status.load or LoadStatus()
    latency, percentile = load.latency, load.percentile
    if latency is None:
        latency, percentile = load.first_byte, load.first_byte_percentile
    if not (demand and latency and percentile and is_duration(demand) and is_duration(latency)):
        return None
    return service_from_measures(
        parse_duration(demand), parse_duration(latency), float(percentile.removeprefix("p"))
    )


def service_from_measures(loop: float, latency: float, percentile: float) -> ServiceModel | None:
    """A service model from seconds of loop time a request, and a percentile of the latency."""
    if loop <= 0:
        return None
    usual = UpstreamModelSpec()
    sigma = ServiceModel().upstream_sigma
    at = NormalDist().inv_cdf(percentile / 100)
    median = max(MIN_UPSTREAM, latency - loop) / exp(sigma * at)
    ratio = parse_duration(usual.p95) / parse_duration(usual.median)
    return ServiceModel(
        loop=LoopTimeSpec(mean=format_duration(loop)),
        upstream=UpstreamModelSpec(
            median=format_duration(median), p95=format_duration(median * ratio)
        ),
    )
