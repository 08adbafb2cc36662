"""What the run came to, computed from the records and the recording alone."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiapi_demo.latency import percentile
from aiapi_demo.recording import Recording, Sample
from aiapi_demo.records import RequestRecord
from aiapi_demo.schedule import Phase, starts


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoObjective:
    """The latency objective of the AIApi that the demo applied."""

    percentile: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseResult:
    """One phase in numbers. Latencies count from the moment a request was due."""

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
    """The latency at the objective's own percentile, to hold against ``objective_seconds``."""
    objective_seconds: float
    workers_at_start: int
    workers_most: int
    workers_at_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorKill:
    """The operator was killed and came back. Times are seconds from the start of the load."""

    at: float
    back_at: float
    """When the new process was started."""
    acts_at: float | None = None
    """When it first wrote the status: before that it waits for the dead one's Lease."""
    guarded_until: float
    """Until here nothing but a kept or raised size is right: stabilisation starts anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole run."""

    requests: int
    failed: int
    errors: dict[str, int]
    phases: tuple[PhaseResult, ...]
    worker_seconds: float
    static_worker_seconds: float
    static_workers: int
    send_lag_p99_seconds: float | None
    """How late the load generator sent: large values mean that this computer was too busy."""

    @property
    def saving_percent(self) -> float | None:
        """What right-sizing saved against a static fleet sized for the peak."""
        if not self.static_worker_seconds:
            return None
        return 100 * (1 - self.worker_seconds / self.static_worker_seconds)


def integral(samples: Sequence[Sample], until: float) -> float:
    """Worker-seconds from the first look to the end: each look holds until the next one."""
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
    """All numbers of the run."""
    samples = recording.samples
    end = starts(phases)[-1]
    begin = samples[0].at if samples else end
    most = max((sample.serving for sample in samples), default=0)
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
        static_worker_seconds=most * (end - begin),
        static_workers=most,
        send_lag_p99_seconds=percentile((each.sent - each.intended for each in records), 99),
    )


def _phase(
    index: int,
    phase: Phase,
    *,
    records: Sequence[RequestRecord],
    samples: Sequence[Sample],
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
        workers_most=max(serving),
        workers_at_end=serving[-1],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """Everything there is to tell about a run."""

    phases: tuple[Phase, ...]
    objective: DemoObjective
    recording: Recording
    summary: Summary
    kill: OperatorKill | None
    unmet: tuple[str, ...]
    """What did not hold. Empty when the run is a success."""


def as_json(report: DemoReport) -> dict[str, Any]:
    """The content of summary.json."""
    recording = report.recording
    return {
        **asdict(report.summary),
        "saving_percent": report.summary.saving_percent,
        "decisions": [asdict(change) for change in recording.changes],
        "conditions": [
            {"at": diagnosis.at, **asdict(diagnosis.condition)} for diagnosis in recording.diagnoses
        ],
        "operator_killed": asdict(report.kill) if report.kill else None,
        "unmet": list(report.unmet),
    }
