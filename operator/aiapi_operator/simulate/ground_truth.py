"""The true need of the simulated service, for the baselines: static peak and oracle.

The target utilization is found by simulating a single loop at one utilization after another, with
the same two visits per request as in the fleet. Nothing is modelled or estimated.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from aiapi_operator.simulate import loops
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.scenario import ServiceModel
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind, SizingSpec
from aiapi_operator.sizing.learners.utilization import TUNING
from aiapi_operator.sizing.plan import FULL, RequiredWorkers

_DRAWS = 200_000
_STEPS = 8
"""Bisection steps for rho*: within 0.003."""
_GRID = np.linspace(0.025, 1.0, 40)


@lru_cache(maxsize=64)
def target_utilization(service: ServiceModel, objective: LatencyObjective) -> float:
    """rho*: the highest utilization, from 0.3 to 0.95, at which the objective holds.

    If it holds at none, the operator's ``INFEASIBLE_UTILIZATION``: no fleet would help.
    """
    loop = _Loop(service, objective)
    low, high = TUNING.lowest, FULL
    if loop.percentile(low) > objective.threshold:
        return TUNING.efficient
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
    """Fraction of late requests at each utilization of ``_GRID``."""
    loop = _Loop(service, objective)
    return np.array([*(loop.late(rho) for rho in _GRID[:-1].tolist()), 1.0])


class _Loop:
    """One loop under random arrivals."""

    def __init__(self, service: ServiceModel, objective: LatencyObjective) -> None:
        rng = np.random.default_rng(404)
        self._objective = objective
        self._cost = service.draw_loop(rng, _DRAWS)
        self._upstream = service.draw_upstream(rng, _DRAWS)
        whole = objective.kind is ObjectiveKind.LATENCY
        self._stream = service.draw_stream(rng, _DRAWS) if whole else None
        self._gaps = rng.exponential(service.demand, _DRAWS)

    def percentile(self, utilization: float) -> float:
        """The objective's percentile of the latency at this utilization."""
        return float(np.percentile(self._latency(utilization), self._objective.percentile))

    def late(self, utilization: float) -> float:
        """Fraction of the requests that take longer than the threshold."""
        return float((self._latency(utilization) > self._objective.threshold).mean())

    def _latency(self, utilization: float) -> Floats:
        at = np.cumsum(self._gaps / utilization)
        only, idle = np.zeros(_DRAWS, dtype=np.int64), np.zeros(1)
        work = loops.serve(at, self._cost, only, idle)
        answered = work.completion_times() + self._upstream
        latency: Floats = answered + work.waits(answered, only, idle) - at
        return latency if self._stream is None else latency + self._stream


@dataclass(frozen=True)
class GroundTruth:
    """The true need of a workload, without estimates."""

    load: Workload
    spec: SizingSpec

    @cached_property
    def utilization(self) -> float:
        """rho*, the target utilization."""
        service = self.load.service
        return min(target_utilization(service, each) for each in self.spec.objectives)

    @property
    def worker_concurrency(self) -> float:
        """Requests in flight in a worker whose loop is always busy, by Little's law.

        1 / 20 ms = 50 requests a second that take 0.3 s at an idle loop: 15.
        """
        service = self.load.service
        return (service.upstream_mean + service.stream_mean + service.demand) / service.demand

    def need(self, rate: float, *, demand_factor: float = 1.0) -> RequiredWorkers:
        """Workers needed for ``rate`` requests per second."""
        busy = rate * self.load.service.demand * demand_factor
        return self._carry(busy / self.utilization, busy)

    def need_for_counts(self, counts: Floats, *, demand_factor: float = 1.0) -> RequiredWorkers:
        """The minimum workers that meet the objective over seconds with known requests.

        A second busier than the mean adds more late requests than a calmer one saves.
        """
        found = [
            self._need_for(counts, each, demand_factor=demand_factor)
            for each in self.spec.objectives
        ]
        return max(found, key=lambda need: need.total)

    def _need_for(
        self, counts: Floats, objective: LatencyObjective, *, demand_factor: float
    ) -> RequiredWorkers:
        service = self.load.service
        busy = counts * service.demand * demand_factor
        mean = float(busy.mean())
        allowed = (1 - objective.percentile / 100) * float(counts.sum())
        late = _late(service, objective)
        low, high = mean / FULL, mean / TUNING.lowest
        if mean == 0 or self._late_requests(counts, busy / high, late) > allowed:
            return self._carry(mean / self.utilization, mean)
        for _ in range(_STEPS + 4):
            middle = (low + high) / 2
            if self._late_requests(counts, busy / middle, late) > allowed:
                low = middle
            else:
                high = middle
        return self._carry(high, mean)

    def _late_requests(self, counts: Floats, utilization: Floats, late: Floats) -> float:
        return float((counts * np.interp(utilization, _GRID, late)).sum())

    def _carry(self, total: float, busy: float) -> RequiredWorkers:
        return RequiredWorkers(total, min(total, busy / FULL))
