"""The results of the run, computed from the requests and the recording."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiapi_demo.cpu_wait import CpuWait
from aiapi_demo.latency import percentile
from aiapi_demo.recording import Recording, RunSample
from aiapi_demo.records import RequestRecord
from aiapi_demo.schedule import Phase, starts


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoObjective:
    """The latency objective of the AIApi in the demo."""

    percentile: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseResult:
    """The results of one phase. Latency is measured from the time a request was due."""

    name: str
    seconds: float
    offered_rps: float
    served_rps: float
    requests: int
    failed: int
    p50_seconds: float | None
    p95_seconds: float | None
    objective_percentile: float
    objective_latency_seconds: float | None
    """The latency at the percentile of the objective, to compare with ``objective_seconds``."""
    objective_seconds: float
    workers_at_start: int
    workers_max: int
    workers_at_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorKill:
    """The operator was killed and restarted. Times are seconds since the start of the load."""

    at: float
    back_at: float
    """Start of the new process."""
    acts_at: float | None = None
    """Its first status update. Before that it waits for the Lease of the killed one to expire."""
    guarded_until: float
    """Until then the fleet must not shrink: the new operator restarts stabilization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The results of the whole run."""

    requests: int
    failed: int
    errors: dict[str, int]
    phases: tuple[PhaseResult, ...]
    worker_seconds: float
    static_worker_seconds: float
    static_workers: int
    send_lag_p99_seconds: float | None
    """How late requests were sent. A large value means that this computer was overloaded."""

    @property
    def saving(self) -> float | None:
        """The part of the cost of a static fleet, sized for the peak, that was saved."""
        if not self.static_worker_seconds:
            return None
        return 1 - self.worker_seconds / self.static_worker_seconds


def integral(samples: Sequence[RunSample], until: float) -> float:
    """Worker-seconds from the first sample to the end. Each sample holds until the next one."""
    ends = [sample.at for sample in samples[1:]] + [until]
    return sum(
        sample.alive * max(0.0, end - sample.at) for sample, end in zip(samples, ends, strict=False)
    )


def summarize(
    *,
    phases: tuple[Phase, ...],
    records: Sequence[RequestRecord],
    recording: Recording,
    objective: DemoObjective,
) -> Summary:
    """Compute the results of the run."""
    samples = recording.samples
    end = starts(phases)[-1]
    begin = samples[0].at if samples else end
    peak = max((sample.serving for sample in samples), default=0)
    errors: dict[str, int] = {}
    for record in records:
        if not record.ok:
            kind = record.error or f"HTTP {record.status}"
            errors[kind] = errors.get(kind, 0) + 1
    return Summary(
        requests=len(records),
        failed=sum(errors.values()),
        errors=errors,
        phases=tuple(
            _phase(index, phase, records=records, samples=samples, objective=objective)
            for index, phase in enumerate(phases)
        ),
        worker_seconds=integral(samples, end),
        static_worker_seconds=peak * (end - begin),
        static_workers=peak,
        send_lag_p99_seconds=percentile((each.sent - each.intended for each in records), 99),
    )


def _phase(
    index: int,
    phase: Phase,
    *,
    records: Sequence[RequestRecord],
    samples: Sequence[RunSample],
    objective: DemoObjective,
) -> PhaseResult:
    mine = [record for record in records if record.phase == index]
    latencies = [record.latency for record in mine]
    serving = [sample.serving for sample in samples if sample.phase == index] or [0]
    failed = sum(not record.ok for record in mine)
    return PhaseResult(
        name=phase.name,
        seconds=phase.seconds,
        offered_rps=len(mine) / phase.seconds,
        served_rps=(len(mine) - failed) / phase.seconds,
        requests=len(mine),
        failed=failed,
        p50_seconds=percentile(latencies, 50),
        p95_seconds=percentile(latencies, 95),
        objective_percentile=objective.percentile,
        objective_latency_seconds=percentile(latencies, objective.percentile),
        objective_seconds=objective.seconds,
        workers_at_start=serving[0],
        workers_max=max(serving),
        workers_at_end=serving[-1],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """A run and its results."""

    phases: tuple[Phase, ...]
    objective: DemoObjective
    recording: Recording
    summary: Summary
    kill: OperatorKill | None
    unmet: tuple[str, ...]
    """Expectations that were not met. Empty if the run succeeded."""
    cpu_wait: CpuWait
    """How much processes waited for a CPU during the load."""


def as_json(report: DemoReport) -> dict[str, Any]:
    """The content of summary.json."""
    recording, saving = report.recording, report.summary.saving
    return {
        **asdict(report.summary),
        "saving_percent": None if saving is None else 100 * saving,
        "decisions": [asdict(change) for change in recording.changes],
        "conditions": [
            {"at": change.at, **asdict(change.condition)} for change in recording.condition_changes
        ],
        "operator_killed": asdict(report.kill) if report.kill else None,
        "unmet": list(report.unmet),
        "comparable": report.cpu_wait.comparable,
        "cpu_wait": report.cpu_wait.share,
    }
