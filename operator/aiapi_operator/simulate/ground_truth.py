"""What is true of the simulated service, for those who may know it: static peak and oracle.

How busy loops may be is found by playing a single loop at one utilisation after another, with
the same two visits of each request as in the fleet: no law, and nothing to estimate.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from aiapi_operator.simulate import loops
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.scenario import ServiceModel
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.sizing import capacity
from aiapi_operator.sizing.inputs import LatencyObjective, SizingSpec
from aiapi_operator.sizing.need import MAX_UTILIZATION_AFTER_LOSS
from aiapi_operator.sizing.plan import RequiredWorkers

_DRAWS = 200_000
_STEPS = 8
"""Halvings of the interval in which rho* is looked for: within 0.003."""
_GRID = np.linspace(0.025, 1.0, 40)


@lru_cache(maxsize=64)
def target_utilization(service: ServiceModel, objective: LatencyObjective) -> float:
    """rho*: the highest utilisation, from 0.3 to 0.95, at which the objective holds.

    Where it holds at none, ``EFFICIENT`` as the operator has it: no fleet would help.
    """
    loop = _Loop(service, objective)
    low, high = capacity.MIN_UTILIZATION, MAX_UTILIZATION_AFTER_LOSS
    if loop.percentile(low) > objective.threshold:
        return capacity.INFEASIBLE_UTILIZATION
    if loop.percentile(high) <= objective.threshold:
        return high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if loop.percentile(middle) <= objective.threshold:
            low = middle
        else:
            high = middle
    return low


@lru_cache(maxsize=64)
def _late(service: ServiceModel, objective: LatencyObjective) -> Floats:
    """Part of the requests that are late, at each of ``_GRID`` utilisations."""
    loop = _Loop(service, objective)
    return np.array([*(loop.late(rho) for rho in _GRID[:-1].tolist()), 1.0])


class _Loop:
    """One loop under random arrivals."""

    def __init__(self, service: ServiceModel, objective: LatencyObjective) -> None:
        rng = np.random.default_rng(404)
        self._objective = objective
        self._cost = service.draw_loop(rng, _DRAWS)
        self._upstream = service.draw_upstream(rng, _DRAWS)
        self._gaps = rng.exponential(service.demand, _DRAWS)

    def percentile(self, utilization: float) -> float:
        """The objective's percentile of the latency when the loop is so busy."""
        return float(np.percentile(self._latency(utilization), self._objective.percentile))

    def late(self, utilization: float) -> float:
        """Part of the requests that take longer than the threshold."""
        return float((self._latency(utilization) > self._objective.threshold).mean())

    def _latency(self, utilization: float) -> Floats:
        at = np.cumsum(self._gaps / utilization)
        only, idle = np.zeros(_DRAWS, dtype=np.int64), np.zeros(1)
        work = loops.serve(at, self._cost, only, idle)
        back = work.by_request() + self._upstream
        latency: Floats = back + work.waits(back, only, idle) - at
        return latency


@dataclass(frozen=True)
class GroundTruth:
    """The load and its service, without any estimate."""

    load: Workload
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
        return (service.upstream_mean + service.demand) / service.demand

    def need(self, rate: float, *, demand_factor: float = 1.0) -> RequiredWorkers:
        """Workers that ``rate`` requests a second need."""
        busy = rate * self.load.service.demand * demand_factor
        return self._carry(busy / self.utilization, busy)

    def need_of(self, counts: Floats, *, demand_factor: float = 1.0) -> RequiredWorkers:
        """Workers that just keep the objective over seconds whose requests are known.

        A second that is busier than the mean has more late requests than a calm one saves.
        """
        service, objective = self.load.service, self.spec.objective
        busy = counts * service.demand * demand_factor
        mean = float(busy.mean())
        allowed = (1 - objective.percentile / 100) * float(counts.sum())
        late = _late(service, objective)
        low, high = mean / MAX_UTILIZATION_AFTER_LOSS, mean / capacity.MIN_UTILIZATION
        if mean == 0 or self._late_of(counts, busy / high, late) > allowed:
            return self._carry(mean / self.utilization, mean)
        for _ in range(_STEPS + 4):
            middle = (low + high) / 2
            if self._late_of(counts, busy / middle, late) > allowed:
                low = middle
            else:
                high = middle
        return self._carry(high, mean)

    def _late_of(self, counts: Floats, utilization: Floats, late: Floats) -> float:
        return float((counts * np.interp(utilization, _GRID, late)).sum())

    def _carry(self, total: float, busy: float) -> RequiredWorkers:
        return RequiredWorkers(total, min(total, busy / MAX_UTILIZATION_AFTER_LOSS))
