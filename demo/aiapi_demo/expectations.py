"""Whether the run showed what the product promises. Each promise that did not hold is named."""

from collections.abc import Iterator, Sequence

from aiapi_demo.recording import Recording, Sample
from aiapi_demo.schedule import Phase
from aiapi_demo.summary import OperatorKill, PhaseResult, Summary


def unmet_expectations(
    summary: Summary,
    recording: Recording,
    phases: tuple[Phase, ...],
    kill: OperatorKill | None = None,
) -> tuple[str, ...]:
    """What did not hold, one sentence each. Empty when the demo is a success."""
    return (
        *_requests(summary, phases),
        *_objective(summary.phases),
        *_growth(summary.phases),
        *_slow_upstream(recording, phases),
        *_saving(summary),
        *(_survival(recording.samples, kill) if kill else ()),
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
            seen = "no answer" if latency is None else f"{latency:.3f} s"
            yield (
                f"p{phase.objective_percentile:g} was {seen} in phase {phase.name}, "
                f"the objective is {phase.objective_seconds:g} s"
            )


def _growth(phases: Sequence[PhaseResult]) -> Iterator[str]:
    before: PhaseResult | None = None
    for phase in phases:
        if before and phase.name.startswith("step") and phase.workers_most <= before.workers_most:
            yield f"the fleet did not grow in phase {phase.name} ({phase.workers_most} workers)"
        if (
            before
            and before.name.startswith("step")
            and phase.workers_at_end >= before.workers_most
        ):
            yield f"the fleet did not shrink in phase {phase.name}"
        before = phase


def _slow_upstream(recording: Recording, phases: tuple[Phase, ...]) -> Iterator[str]:
    index = next((i for i, phase in enumerate(phases) if phase.name.startswith("slow")), None)
    if index is None:
        return
    during = [sample for sample in recording.samples if sample.phase == index]
    if not during:
        yield "nothing was seen of the fleet while the LLM was slow"
        return
    first = during[0]
    for what, start, most in (
        ("wanted", first.wanted or 0, max(sample.wanted or 0 for sample in during)),
        ("serving", first.serving, max(sample.serving for sample in during)),
    ):
        if most > start:
            yield f"the fleet grew while the LLM was slow: {start} to {most} workers {what}"
    if not any(
        each.at >= first.at
        and each.condition.type == "DependencyBound"
        and each.condition.status == "True"
        and each.condition.message
        for each in recording.diagnoses
    ):
        yield "DependencyBound was not True with a message while the LLM was slow"


def _saving(summary: Summary) -> Iterator[str]:
    if summary.saving_percent is None or summary.saving_percent <= 0:
        yield "nothing was saved against a static fleet sized for the peak"


def _survival(samples: Sequence[Sample], kill: OperatorKill) -> Iterator[str]:
    """After the operator's death nothing shrinks until its successor has watched long enough.

    What it had already ordered is still carried out, hence the first two seconds.
    """
    before = [sample for sample in samples if sample.at <= kill.at]
    after = [sample for sample in samples if kill.at + 2 < sample.at <= kill.guarded_until]
    if not before or not after:
        yield "the fleet was not seen before and after the operator was killed"
        return
    if kill.acts_at is None:
        yield "the operator that was started anew never wrote the status"
    for what, kept, least in (
        ("wanted", before[-1].wanted or 0, min(sample.wanted or 0 for sample in after)),
        ("asked of pods", after[0].asked, min(sample.asked for sample in after)),
    ):
        if least < kept:
            yield f"killing the operator caused a scale-down: {kept} to {least} workers {what}"
