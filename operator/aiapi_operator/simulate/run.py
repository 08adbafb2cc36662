"""Simulates one policy on one workload, from one policy tick or fleet change to the next."""

from dataclasses import dataclass
from statistics import median
from time import perf_counter

from aiapi_operator.simulate.faults import FaultKind
from aiapi_operator.simulate.fleet import FleetModel
from aiapi_operator.simulate.measure import (
    RunRecorder,
    RunResult,
    SizeChange,
    attainment_requests,
    attainment_windows,
    direction_changes,
)
from aiapi_operator.simulate.policies.policy import ScalingPolicy
from aiapi_operator.simulate.requests import MINUTE, Requests, Workload
from aiapi_operator.simulate.retries import RetryingClients
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.state import Size

MAX_STEP = 5.0
"""Seconds served in one step. The first retries after a calm time may be late by this much."""


@dataclass(slots=True)
class Simulation:
    """A policy that scales a fleet under a workload."""

    load: Workload
    spec: SizingSpec
    policy: ScalingPolicy

    def run(self) -> RunResult:
        """Simulate the whole trace."""
        started = perf_counter()
        run = _SimulationRun(self)
        for requests in self.load.minutes():
            run.serve_minute(requests)
        return run.result(perf_counter() - started)


class _SimulationRun:
    """The state of a running simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._fleet = FleetModel(
            simulation.load, simulation.policy.initial_size, worker_cpu=simulation.spec.worker_cpu
        )
        self._clients = RetryingClients(simulation.load)
        self._recorder = RunRecorder(simulation.spec.objectives, self._clients.max_request_seconds)
        self._now = 0.0
        self._next_tick = 0.0
        self._changes: list[SizeChange] = []
        self._decide_ms: list[float] = []
        self._max_workers = simulation.policy.initial_size.total

    def serve_minute(self, requests: Requests) -> None:
        """Serve a minute of requests."""
        end = min(self._now + MINUTE, float(self._simulation.load.trace.seconds))
        while self._now < end:
            if self._now >= self._next_tick:
                self._tick()
            step_end = self._now + min(MAX_STEP, self._clients.max_step)
            stop = min(end, self._next_tick, self._fleet.next_change(), step_end)
            if stop > self._now:
                self._serve(requests.between(self._now, stop), stop)
            self._fleet.advance(self._now)
        self._recorder.close_minute(self._fleet.size)

    def _serve(self, first: Requests, stop: float) -> None:
        part = self._clients.with_retries(first, stop)
        served = self._fleet.serve(part, self._now, stop)
        self._recorder.add(self._clients.schedule_retries(served, stop))
        self._now = stop

    def _end(self) -> None:
        """No further arrivals: requests in flight finish, pending retries do not."""
        for served in (self._fleet.finish(), self._clients.abandon_retries()):
            if served is not None:
                self._recorder.add(served)

    def _tick(self) -> None:
        policy = self._simulation.policy
        self._next_tick = self._now + policy.interval
        metrics_gone = self._simulation.load.faults.active(FaultKind.METRICS_GONE, self._now)
        snapshot = FleetSnapshot(self._fleet, self._now, metrics_gone=metrics_gone)
        before = self._fleet.size
        decision = policy.decide(snapshot)
        self._decide_ms.append(decision.decide_ms)
        if decision.size == before:
            return
        self._fleet.scale_to(decision.size, self._now, instantly=policy.instant)
        self._changes.append(
            SizeChange(at=self._now, before=before, after=decision.size, why=decision.why)
        )
        self._max_workers = max(self._max_workers, decision.size.total)

    def result(self, seconds: float) -> RunResult:
        """The measures of the run."""
        self._end()
        recorder, changes = self._recorder, tuple(self._changes)
        minutes = recorder.minutes()
        return RunResult(
            policy=self._simulation.policy.name,
            attainment_windows=attainment_windows(minutes, self._simulation.spec.objective),
            attainment_requests=attainment_requests(minutes),
            core_hours=self._fleet.core_seconds / 3600,
            pod_hours=self._fleet.pod_seconds / 3600,
            worker_hours=self._fleet.billed_worker_seconds / 3600,
            utilization=self._fleet.utilization(self._now),
            p50=recorder.percentile(50),
            p95=recorder.percentile(95),
            p99=recorder.percentile(99),
            requests=sum(minute.requests for minute in minutes),
            shed=recorder.shed,
            failed=recorder.failed,
            retries=self._clients.retries,
            direction_changes_per_hour=direction_changes(changes, self._now),
            max_workers=self._max_workers,
            scale_downs=sum(_smaller(change.before, change.after) for change in changes),
            decide_ms=median(self._decide_ms),
            seconds=seconds,
            minutes=minutes,
            changes=changes,
        )


def _smaller(before: Size, after: Size) -> bool:
    return after.total < before.total
