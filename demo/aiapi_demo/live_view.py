"""The live view: one table that refreshes in place, or one line now and then without a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aiapi_demo.recording import Recording, Sample
from aiapi_demo.schedule import Phase
from aiapi_demo.summary import DemoObjective

STEP_SECONDS = 5.0
ROWS = 12
HEALTHY = {"Accepted", "Ready", "Reconciled"}
"""Conditions that are good when they are true; all others are diagnoses."""


def milliseconds(seconds: float | None) -> str:
    """A latency for people."""
    return "-" if seconds is None else f"{1000 * seconds:.0f} ms"


def share(part: float | None) -> str:
    """A utilisation for people."""
    return "-" if part is None else f"{100 * part:.0f} %"


def grid(workers: int | None, replicas: int | None) -> str:
    """Workers a pod times pods."""
    return "-" if workers is None or replicas is None else f"{workers} x {replicas}"


def clock(seconds: float) -> str:
    """Minutes and seconds since the load began."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class LiveView:
    """Shows progress while things start, and each sample while the load runs."""

    def __init__(
        self, console: Console, *, phases: Sequence[Phase], plain: bool, objective: DemoObjective
    ) -> None:
        self._console = console
        self._phases = phases
        self._objective = objective
        self._kept: list[Sample] = []
        self._live = None if plain else Live(console=console, auto_refresh=False)

    def start(self) -> None:
        """Begin to show samples."""
        if self._live:
            self._live.start()

    def stop(self) -> None:
        """Leave the last table standing."""
        if self._live:
            self._live.stop()

    def show(self, recording: Recording) -> None:
        """Show the newest sample."""
        if not recording.samples:
            return
        newest = recording.samples[-1]
        due = not self._kept or newest.at - self._kept[-1].at >= STEP_SECONDS
        if self._live:
            table = self._table([*self._kept[-ROWS:], newest], recording)
            self._live.update(table, refresh=True)
        elif due:
            self._console.print(self._line(newest), soft_wrap=True, highlight=False)
        if due:
            self._kept.append(newest)

    def _line(self, sample: Sample) -> str:
        return (
            f"{clock(sample.at)} {self._phases[sample.phase].name}: "
            f"offered {sample.offered_rps:.0f} rps, served {sample.served_rps:.0f} rps, "
            f"p{self._objective.percentile:g} {milliseconds(sample.latency)} "
            f"of {milliseconds(self._objective.seconds)}, loop {share(sample.utilization)}, "
            f"workers x replicas {grid(sample.wanted_workers, sample.wanted_replicas)}, "
            f"{sample.serving} workers serving, binding {sample.binding or '-'}, "
            f"failed {sample.failed}, {sample.reason or 'no decision yet'}: {sample.message}"
        )

    def _table(self, samples: Sequence[Sample], recording: Recording) -> Table:
        newest = samples[-1]
        table = Table(caption=self._caption(newest, recording), caption_justify="left")
        for name in ("time", "phase"):
            table.add_column(name)
        columns = (
            "offered\nrps",
            "served\nrps",
            f"p{self._objective.percentile:g}\n(<= {milliseconds(self._objective.seconds)})",
            "loop",
            "wanted\nworkers x pods",
            "workers\nserving",
            "failed",
        )
        for name in columns:
            table.add_column(name, justify="right")
        table.add_column("binding")
        for sample in samples:
            table.add_row(*self._cells(sample), style="bold" if sample is newest else "dim")
        return table

    def _cells(self, sample: Sample) -> tuple[str | Text, ...]:
        late = sample.latency is not None and sample.latency > self._objective.seconds
        return (
            clock(sample.at),
            self._phases[sample.phase].name,
            f"{sample.offered_rps:.0f}",
            f"{sample.served_rps:.0f}",
            Text(milliseconds(sample.latency), style="red" if late else "green"),
            share(sample.utilization),
            grid(sample.wanted_workers, sample.wanted_replicas),
            str(sample.serving),
            Text(str(sample.failed), style="red" if sample.failed else ""),
            sample.binding or "-",
        )

    @staticmethod
    def _caption(newest: Sample, recording: Recording) -> Text:
        text = Text(f"{newest.reason or 'no decision yet'}: {newest.message}", style="default")
        for condition in recording.view.conditions:
            if condition.status == "True" and condition.type not in HEALTHY:
                text.append(f"\n{condition.type}: {condition.message}", style="yellow")
        return text
