"""Simulates one policy on one workload, from one policy tick or fleet change to the next."""

from dataclasses import dataclass
from math import inf, nextafter
from statistics import median
from time import perf_counter

import numpy as np

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate.faults import FaultKind
from aiapi_operator.simulate.fleet import FleetModel
from aiapi_operator.simulate.hold import ACTIVATOR, Front, HeldRequests
from aiapi_operator.simulate.in_flight import ServedRequests
from aiapi_operator.simulate.measure import (
    RunRecorder,
    RunResult,
    SizeChange,
    attainment_requests,
    attainment_windows,
    direction_changes,
)
from aiapi_operator.simulate.policies.policy import ScalingPolicy
from aiapi_operator.simulate.requests import MINUTE, Requests, Workload, concatenate
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
    front: Front | None = None
    """What accepts requests while no pod is ready; None for a fleet that always has a pod."""

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
        self._held = HeldRequests(
            simulation.front or ACTIVATOR,
            parse_duration(simulation.load.service.clients.deadline),
        )
        self._wakes = simulation.front is not None and simulation.front.wakes
        self._asked = False
        self._cold_starts = 0

    def serve_minute(self, requests: Requests) -> None:
        """Serve a minute of requests."""
        end = min(self._now + MINUTE, float(self._simulation.load.trace.seconds))
        while self._now < end:
            if self._now >= self._next_tick or self._is_asked_to_wake():
                self._tick()
            stop = min(end, self._end_of_step(requests))
            if stop > self._now:
                self._serve(requests.between(self._now, stop), stop)
            self._fleet.advance(self._now)
        self._recorder.close_minute(self._fleet.size)

    def _end_of_step(self, requests: Requests) -> float:
        step_end = self._now + min(MAX_STEP, self._clients.max_step)
        stop = min(self._next_tick, self._fleet.next_change(), step_end)
        if self._fleet.pods:
            return stop
        # Just after the next request, which may start a pod.
        coming = requests.at[np.searchsorted(requests.at, self._now) :][:1]
        arrives = min(float(coming.min(initial=inf)), self._clients.next_retry())
        return min(stop, nextafter(max(self._now, arrives), inf))

    def _is_asked_to_wake(self) -> bool:
        """Whether a request is the first that found no pod."""
        if self._fleet.pods or not self._wakes:
            self._asked = False
            return False
        first = len(self._held) > 0 and not self._asked
        self._asked |= first
        return first

    def _serve(self, first: Requests, stop: float) -> None:
        part = self._clients.with_retries(first, stop)
        part = self._with_held(part) if self._fleet.ready else self._hold(part, stop)
        self._record(self._fleet.serve(part, self._now, stop), stop)
        if self._now < self._fleet.backlog_until:
            self._recorder.cold.meet(part.first_at[part.at < self._fleet.backlog_until])
        self._now = stop

    def _with_held(self, part: Requests) -> Requests:
        if not len(self._held):
            return part
        held = self._held.release(self._now)
        joined = part if held is None else concatenate((held, part))
        return joined.take(np.argsort(joined.at, kind="stable"))

    def _hold(self, part: Requests, stop: float) -> Requests:
        """Hold requests for which no pod is ready; returns what is left for pods: none."""
        if len(part):
            self._recorder.cold.meet(part.first_at)
        for ended in (self._held.add(part), self._held.expire(stop)):
            if ended is not None:
                self._record(ended, stop)
        return part.take(slice(0, 0))

    def _record(self, served: ServedRequests, stop: float) -> None:
        self._recorder.add(self._clients.schedule_retries(served, stop))

    def _end(self) -> None:
        """No further arrivals: requests in flight finish, pending retries do not."""
        for served in (self._held.end(), self._fleet.finish(), self._clients.abandon_retries()):
            if served is not None:
                self._recorder.add(served)

    def _tick(self) -> None:
        policy = self._simulation.policy
        self._next_tick = self._now + policy.interval
        metrics_gone = self._simulation.load.faults.active(FaultKind.METRICS_GONE, self._now)
        snapshot = FleetSnapshot(self._fleet, self._now, metrics_gone=metrics_gone, held=self._held)
        before = self._fleet.size
        decision = policy.decide(snapshot)
        self._decide_ms.append(decision.decide_ms)
        if decision.size == before:
            return
        self._cold_starts += before.replicas == 0 and decision.size.replicas > 0
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
            cold_starts=None
            if self._simulation.front is None
            else recorder.cold_starts(
                minutes, starts=self._cold_starts, asleep_seconds=self._fleet.asleep_seconds
            ),
        )


def _smaller(before: Size, after: Size) -> bool:
    return after.total < before.total
