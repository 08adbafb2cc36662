"""What an AIApi would have cost, and how often it would have kept this or that objective.

For ``kubectl aiapi simulate`` and other callers that have an AIApi and its traffic: no oracle,
no faults, a row for each objective and policy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp
from statistics import NormalDist

from aiapi_operator.api import AIApiSpec
from aiapi_operator.api.duration import format_duration, is_duration, parse_duration
from aiapi_operator.api.status import AIApiStatus
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.scenario import LoopTimeSpec, ServiceModel, UpstreamSpec
from aiapi_operator.simulate.traces import Trace
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.spec import sizing_spec

SHORTEST = 0.001
"""Seconds. No upstream is taken to be faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfRow:
    """One policy under one objective."""

    objective: LatencyObjective
    result: RunResult
    cost: float
    """Of the time simulated, at the spec's prices; its currency is ``spec.cost.currency``."""
    saving: float | None
    """Part of the cost of ``static`` under the same objective that is saved; None without it."""


def what_if(  # noqa: PLR0913 - what may be varied
    trace: Trace,
    spec: AIApiSpec,
    objectives: Sequence[LatencyObjective],
    *,
    service: ServiceModel,
    policies: Sequence[str] = ("aiapi", "static"),
    seed: int = 1,
    tell: Callable[[LatencyObjective, RunResult], None] = lambda *_: None,
) -> list[WhatIfRow]:
    """Play the trace once for each objective and policy, in that order.

    ``tell`` hears of each as it is done: a day of traffic takes about half a minute.
    """
    load = Workload(trace=trace, service=service, seed=seed)
    rows: list[WhatIfRow] = []
    for objective in objectives:
        wish = replace(sizing_spec(spec), objective=objective)
        truth = GroundTruth(load, wish)
        done = []
        for name in policies:
            policy = catalogue.build(name, truth, pod_workers=max(1, spec.workers.min))
            done.append(Simulation(load, wish, policy).play())
            tell(objective, done[-1])
        costs = [
            each.pod_hours * plan.pod_hourly_cost(wish)
            + each.worker_hours * plan.worker_hourly_cost(wish)
            for each in done
        ]
        static = next(
            (cost for each, cost in zip(done, costs, strict=True) if each.policy == "static"), None
        )
        rows += [
            WhatIfRow(
                objective=objective,
                result=each,
                cost=cost,
                saving=1 - cost / static if static else None,
            )
            for each, cost in zip(done, costs, strict=True)
        ]
    return rows


def service_from_status(status: AIApiStatus) -> ServiceModel | None:
    """A service like the one that was seen; None where nothing was measured yet.

    Known are the loop time of a request and the latency at one percentile. The spread of the
    upstream is not: that of the model's defaults is taken. With 12 ms of loop time and a p95
    of 512 ms the upstream has a p95 of 500 ms.
    """
    demand = None if status.need is None else status.need.service_demand
    latency = None if status.load is None else status.load.latency
    percentile = None if status.load is None else status.load.percentile
    if not (demand and latency and percentile and is_duration(demand) and is_duration(latency)):
        return None
    loop = parse_duration(demand)
    if loop <= 0:
        return None
    usual = UpstreamSpec()
    sigma = ServiceModel().upstream_sigma
    at = NormalDist().inv_cdf(float(percentile.removeprefix("p")) / 100)
    median = max(SHORTEST, parse_duration(latency) - loop) / exp(sigma * at)
    ratio = parse_duration(usual.p95) / parse_duration(usual.median)
    return ServiceModel(
        loop=LoopTimeSpec(mean=format_duration(loop)),
        upstream=UpstreamSpec(median=format_duration(median), p95=format_duration(median * ratio)),
    )
