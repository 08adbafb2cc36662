"""Checks the run against what the product promises."""

from collections.abc import Iterator, Sequence

from aiapi_demo.recording import Recording, RunSample
from aiapi_demo.schedule import Phase
from aiapi_demo.summary import OperatorKill, PhaseResult, Summary


def unmet_expectations(
    summary: Summary,
    recording: Recording,
    phases: tuple[Phase, ...],
    kill: OperatorKill | None = None,
) -> tuple[str, ...]:
    """The expectations that were not met, one sentence each. Empty if the run succeeded."""
    return (
        *_requests(summary, phases),
        *_objective(summary.phases),
        *_growth(summary.phases),
        *_slow_upstream(recording, phases),
        *_saving(summary),
        *(_operator_kill(recording.samples, kill) if kill else ()),
    )


def _requests(summary: Summary, phases: tuple[Phase, ...]) -> Iterator[str]:
    if summary.failed:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in summary.errors.items())
        yield f"{summary.failed} of {summary.requests} requests failed: {kinds}"
    due = sum(phase.rate * phase.seconds for phase in phases)
    if summary.requests < 0.9 * due:
        yield f"only {summary.requests} of about {due:.0f} requests were sent"


def _objective(phases: Sequence[PhaseResult]) -> Iterator[str]:
    for phase in phases:
        latency = phase.objective_latency_seconds
        if phase.name.startswith("calm") and not (
            latency is not None and latency <= phase.objective_seconds
        ):
            measured = "not measured" if latency is None else f"{latency:.3f} s"
            yield (
                f"p{phase.objective_percentile:g} in phase {phase.name}: {measured}, "
                f"objective {phase.objective_seconds:g} s"
            )


def _growth(phases: Sequence[PhaseResult]) -> Iterator[str]:
    before: PhaseResult | None = None
    for phase in phases:
        if before and phase.name.startswith("step") and phase.workers_max <= before.workers_max:
            yield f"the fleet did not grow in phase {phase.name} ({phase.workers_max} workers)"
        if before and before.name.startswith("step") and phase.workers_at_end >= before.workers_max:
            yield f"the fleet did not shrink in phase {phase.name}"
        before = phase


def _slow_upstream(recording: Recording, phases: tuple[Phase, ...]) -> Iterator[str]:
    index = next((i for i, phase in enumerate(phases) if phase.name.startswith("slow")), None)
    if index is None:
        return
    during = [sample for sample in recording.samples if sample.phase == index]
    if not during:
        yield "no samples of the fleet while the LLM was slow"
        return
    first = during[0]
    for what, start, peak in (
        ("wanted", first.wanted or 0, max(sample.wanted or 0 for sample in during)),
        ("serving", first.serving, max(sample.serving for sample in during)),
    ):
        if peak > start:
            yield f"the fleet grew while the LLM was slow: {start} to {peak} {what} workers"
    if not any(
        each.at >= first.at
        and each.condition.type == "DependencyBound"
        and each.condition.status == "True"
        and each.condition.message
        for each in recording.condition_changes
    ):
        yield "DependencyBound was not True while the LLM was slow, or had no message"


def _saving(summary: Summary) -> Iterator[str]:
    if summary.saving is None or summary.saving <= 0:
        yield "nothing was saved compared with a static fleet sized for the peak"


def _operator_kill(samples: Sequence[RunSample], kill: OperatorKill) -> Iterator[str]:
    """After a restart of the operator, the fleet must not shrink during stabilization.

    The first two seconds are left out: orders from before the kill are still carried out.
    """
    before = [sample for sample in samples if sample.at <= kill.at]
    after = [sample for sample in samples if kill.at + 2 < sample.at <= kill.guarded_until]
    if not before or not after:
        yield "no samples of the fleet before or after the operator was killed"
        return
    if kill.acts_at is None:
        yield "the restarted operator never wrote the status"
    for what, kept, lowest in (
        ("wanted", before[-1].wanted or 0, min(sample.wanted or 0 for sample in after)),
        ("requested", after[0].requested, min(sample.requested for sample in after)),
    ):
        if lowest < kept:
            yield f"killing the operator caused a scale-down: {kept} to {lowest} {what} workers"
