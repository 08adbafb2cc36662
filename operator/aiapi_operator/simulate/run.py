"""One policy, one trace: serve until something changes or the policy looks, and so on."""

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

LONGEST_LOOK = 5.0
"""Seconds that are served at once: so much later may a first try again come than it should."""


@dataclass(slots=True)
class Simulation:
    """A policy looks after a fleet that serves a load."""

    load: Workload
    spec: SizingSpec
    policy: ScalingPolicy

    def play(self) -> RunResult:
        """Serve all of the trace."""
        started = perf_counter()
        show = _Show(self)
        for requests in self.load.minutes():
            show.minute(requests)
        return show.result(perf_counter() - started)


class _Show:
    """A run in progress."""

    def __init__(self, run: Simulation) -> None:
        self._run = run
        self._fleet = FleetModel(run.load, run.policy.first, worker_cpu=run.spec.worker_cpu)
        self._callers = RetryingClients(run.load)
        self._recorder = RunRecorder(run.spec.objective, self._callers.patience)
        self._now = 0.0
        self._next = 0.0
        self._changes: list[SizeChange] = []
        self._decide_ms: list[float] = []
        self._most = run.policy.first.total

    def minute(self, requests: Requests) -> None:
        """Serve a minute of requests."""
        end = min(self._now + MINUTE, float(self._run.load.trace.seconds))
        while self._now < end:
            if self._now >= self._next:
                self._look()
            ahead = self._now + min(LONGEST_LOOK, self._callers.slice)
            stop = min(end, self._next, self._fleet.next_change(), ahead)
            if stop > self._now:
                self._serve(requests.between(self._now, stop), stop)
            self._fleet.advance(self._now)
        self._recorder.close_minute(self._fleet.size)

    def _serve(self, first: Requests, stop: float) -> None:
        part = self._callers.join(first, stop)
        served = self._fleet.serve(part, self._now, stop)
        self._recorder.add(self._callers.settle(served, stop))
        self._now = stop

    def _end(self) -> None:
        """Nobody comes any more; those on their way finish, those who wait to try again do not."""
        for served in (self._fleet.finish(), self._callers.give_up()):
            if served is not None:
                self._recorder.add(served)

    def _look(self) -> None:
        policy = self._run.policy
        self._next = self._now + policy.interval
        silent = self._run.load.faults.active(FaultKind.METRICS_GONE, self._now)
        view = FleetSnapshot(self._fleet, self._now, silent=silent)
        before = self._fleet.size
        answer = policy.decide(view)
        self._decide_ms.append(answer.decide_ms)
        if answer.size == before:
            return
        self._fleet.order(answer.size, self._now, instantly=policy.instant)
        self._changes.append(
            SizeChange(at=self._now, before=before, after=answer.size, why=answer.why)
        )
        self._most = max(self._most, answer.size.total)

    def result(self, seconds: float) -> RunResult:
        """All that was seen."""
        self._end()
        recorder, changes = self._recorder, tuple(self._changes)
        minutes = recorder.minutes()
        return RunResult(
            policy=self._run.policy.name,
            attainment_windows=attainment_windows(minutes, self._run.spec.objective),
            attainment_requests=attainment_requests(minutes),
            core_hours=self._fleet.core_seconds / 3600,
            pod_hours=self._fleet.pod_seconds / 3600,
            worker_hours=self._fleet.paid_worker_seconds / 3600,
            utilization=self._fleet.utilization(self._now),
            p50=recorder.percentile(50),
            p95=recorder.percentile(95),
            p99=recorder.percentile(99),
            requests=sum(minute.requests for minute in minutes),
            shed=recorder.shed,
            failed=recorder.failed,
            retries=self._callers.retries,
            direction_changes_per_hour=direction_changes(changes, self._now),
            max_workers=self._most,
            scale_downs=sum(_smaller(change.before, change.after) for change in changes),
            decide_ms=median(self._decide_ms),
            seconds=seconds,
            minutes=minutes,
            changes=changes,
        )


def _smaller(before: Size, after: Size) -> bool:
    return after.total < before.total
