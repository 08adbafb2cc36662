"""Prints the results at the end of the run."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from aiapi_demo.live_view import fleet
from aiapi_demo.recording import FleetChange
from aiapi_demo.summary import DemoReport, PhaseResult, Summary
from aiapi_operator.present.numbers import elapsed, latency, percent


def print_summary(console: Console, report: DemoReport) -> None:
    """Print the results, and the expectations that were not met."""
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
    console.print("Changed conditions", style="italic")
    for change in recording.condition_changes:
        if change.at <= 0:
            continue
        condition = change.condition
        console.print(
            f"{elapsed(change.at)} {condition.type}={condition.status} "
            f"({condition.reason}) {condition.message}",
            highlight=False,
            soft_wrap=True,
        )
    if kill:
        acted = "never acted" if kill.acts_at is None else f"acted at {elapsed(kill.acts_at)}"
        console.print(
            f"The operator was killed with SIGKILL at {elapsed(kill.at)}, restarted at "
            f"{elapsed(kill.back_at)}, and {acted}.",
            highlight=False,
            soft_wrap=True,
        )
    console.print(str(report.cpu_wait), highlight=False, soft_wrap=True)
    for sentence in report.unmet:
        console.print(f"Not met: {sentence}", style="bold red", highlight=False)
    if not report.unmet:
        console.print("All expectations were met.", style="bold green")


def _phases(phases: Sequence[PhaseResult]) -> Table:
    first = phases[0]
    table = Table(
        "phase",
        title=f"objective: p{first.objective_percentile:g} <= {latency(first.objective_seconds)}",
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
            latency(phase.p50_seconds),
            latency(phase.p95_seconds),
            workers(phase),
        )
    return table


def workers(phase: PhaseResult) -> str:
    """Workers serving at the start, at most and at the end; one number if all are equal."""
    seen = (phase.workers_at_start, phase.workers_max, phase.workers_at_end)
    return str(seen[0]) if len(set(seen)) == 1 else " / ".join(map(str, seen))


def _print_decisions(console: Console, changes: Sequence[FleetChange]) -> None:
    console.print("Decisions that changed the fleet (pods x workers)", style="italic")
    for change in changes:
        console.print(
            f"{elapsed(change.at)} {fleet(change.replicas_before, change.workers_before)} -> "
            f"{fleet(change.replicas, change.workers)} {change.reason}: {change.message}",
            highlight=False,
            soft_wrap=True,
        )


def _cost(summary: Summary) -> str:
    saved = "" if summary.saving is None else f": {percent(summary.saving)} saved"
    return (
        f"Worker-seconds {summary.worker_seconds:.0f}, "
        f"a static fleet of {summary.static_workers} workers {summary.static_worker_seconds:.0f}"
        f"{saved}"
    )
