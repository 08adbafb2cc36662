"""What is true of the simulated service, for those who may know it: static peak and oracle.

Both use the operator's own law of capacity, with the true service demand and the true base
latency in place of estimates. What they know better is the load.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate.requests import Load
from aiapi_operator.simulate.service import ServiceModel
from aiapi_operator.sizing import capacity
from aiapi_operator.sizing.inputs import Objective, SizingSpec
from aiapi_operator.sizing.need import SURVIVAL
from aiapi_operator.sizing.plan import Carry
from aiapi_operator.sizing.state import BaseLatency, ServiceDemand

_DRAWS = 200_000


def target_utilization(service: ServiceModel, objective: Objective) -> float:
    """rho* by ``sizing.capacity``, with nothing left to estimate."""
    rng = np.random.default_rng(404)
    shape = service.loop.variation**-2
    median = parse_duration(service.upstream.median)
    idle = rng.gamma(shape, service.demand / shape, _DRAWS)
    idle += median * np.exp(service.upstream_sigma * rng.standard_normal(_DRAWS))
    base = float(np.percentile(idle, objective.percentile))
    demand = ServiceDemand(seconds=service.demand, idle=0.0, requests=_DRAWS, confident=True)
    known = BaseLatency(percentile=objective.percentile, now=base, calm=base, time=0.0)
    found = capacity.target(objective, service=demand, base_latency=known, correction=1.0)
    return found.utilization


@dataclass(frozen=True)
class Truth:
    """The load and its service, without any estimate."""

    load: Load
    spec: SizingSpec

    @cached_property
    def utilization(self) -> float:
        """rho*: how busy loops may be."""
        return target_utilization(self.load.service, self.spec.objective)

    @property
    def worker_concurrency(self) -> float:
        """Requests in flight in a worker whose loop is always busy, by Little's law.

        1 / 20 ms = 50 requests a second that take 0.3 s at an idle loop: 15.
        """
        service = self.load.service
        mean = parse_duration(service.upstream.median) * np.exp(service.upstream_sigma**2 / 2)
        return float((mean + service.demand) / service.demand)

    def need(self, rate: float, *, demand_factor: float = 1.0) -> Carry:
        """Workers that ``rate`` requests a second need."""
        busy = rate * self.load.service.demand * demand_factor
        total = busy / self.utilization
        return Carry(total, min(total, busy / SURVIVAL))
