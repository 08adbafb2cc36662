"""The summary as it is printed at the end."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from aiapi_demo.live_view import clock, grid, milliseconds
from aiapi_demo.recording import SizeChange
from aiapi_demo.summary import DemoReport, PhaseResult, Summary


def print_summary(console: Console, report: DemoReport) -> None:
    """Print everything that was measured, and what did not hold."""
    summary, recording, kill = report.summary, report.recording, report.kill
    console.print()
    console.print(
        f"Requests sent {summary.requests}, failed {summary.failed}", highlight=False, style="bold"
    )
    for kind, count in summary.errors.items():
        console.print(f"  {count} x {kind}", style="red", highlight=False)
    console.print(_phases(summary.phases))
    _print_decisions(console, recording.changes)
    console.print(_cost(summary), highlight=False)
    console.print("Conditions that changed", style="italic")
    for diagnosis in recording.diagnoses:
        if diagnosis.at <= 0:
            continue
        condition = diagnosis.condition
        console.print(
            f"{clock(diagnosis.at)} {condition.type}={condition.status} "
            f"({condition.reason}) {condition.message}",
            highlight=False,
            soft_wrap=True,
        )
    if kill:
        acted = "never acted" if kill.acts_at is None else f"acted at {clock(kill.acts_at)}"
        console.print(
            f"The operator was killed with -9 at {clock(kill.at)}; its successor was started at "
            f"{clock(kill.back_at)} and {acted}.",
            highlight=False,
            soft_wrap=True,
        )
    for sentence in report.unmet:
        console.print(f"Did not hold: {sentence}", style="bold red", highlight=False)
    if not report.unmet:
        console.print("All that the demo promises held.", style="bold green")


def _phases(phases: Sequence[PhaseResult]) -> Table:
    first = phases[0]
    table = Table(
        "phase",
        title=f"objective: p{first.objective_percentile:g} <= "
        f"{milliseconds(first.objective_seconds)}",
        title_justify="left",
    )
    for name in ("offered rps", "served rps", "failed", "p50", "p95"):
        table.add_column(name, justify="right")
    table.add_column("workers", justify="right")
    for phase in phases:
        table.add_row(
            phase.name,
            f"{phase.offered_rps:.1f}",
            f"{phase.served_rps:.1f}",
            str(phase.failed),
            milliseconds(phase.p50_seconds),
            milliseconds(phase.p95_seconds),
            workers(phase),
        )
    return table


def workers(phase: PhaseResult) -> str:
    """Workers serving at the start, at most and at the end; once, when they never changed."""
    seen = (phase.workers_at_start, phase.workers_most, phase.workers_at_end)
    return str(seen[0]) if len(set(seen)) == 1 else " / ".join(map(str, seen))


def _print_decisions(console: Console, changes: Sequence[SizeChange]) -> None:
    console.print("Decisions that changed the fleet (workers x pods)", style="italic")
    for change in changes:
        console.print(
            f"{clock(change.at)} {grid(change.workers_before, change.replicas_before)} -> "
            f"{grid(change.workers, change.replicas)} {change.reason}: {change.message}",
            highlight=False,
            soft_wrap=True,
        )


def _cost(summary: Summary) -> str:
    saving = summary.saving_percent
    return (
        f"Worker-seconds {summary.worker_seconds:.0f}, "
        f"a static fleet of {summary.static_workers} workers {summary.static_worker_seconds:.0f}"
        + (f": {saving:.0f} % saved" if saving is not None else "")
    )
