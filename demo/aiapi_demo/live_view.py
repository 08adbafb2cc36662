"""The live view: a table that refreshes in place, or plain lines without a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aiapi_demo.recording import Recording, RunSample
from aiapi_demo.schedule import Phase
from aiapi_demo.summary import DemoObjective
from aiapi_operator.present.numbers import NONE, elapsed, latency, percent

STEP_SECONDS = 5.0
ROWS = 12
HEALTHY_WHEN_TRUE = {"Accepted", "Ready", "Reconciled"}
"""All other conditions are diagnoses: they are healthy when False."""


def fleet(replicas: int | None, workers: int | None) -> str:
    """Pods x workers per pod."""
    return NONE if replicas is None or workers is None else f"{replicas} x {workers}"


class LiveView:
    """Shows the samples while the load runs."""

    def __init__(
        self, console: Console, *, phases: Sequence[Phase], plain: bool, objective: DemoObjective
    ) -> None:
        self._console = console
        self._phases = phases
        self._objective = objective
        self._kept: list[RunSample] = []
        self._live = None if plain else Live(console=console, auto_refresh=False)

    def start(self) -> None:
        """Start the table."""
        if self._live:
            self._live.start()

    def stop(self) -> None:
        """Stop refreshing; the last table stays on the screen."""
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

    def _line(self, sample: RunSample) -> str:
        return (
            f"{elapsed(sample.at)} {self._phases[sample.phase].name}: "
            f"offered {sample.offered_rps:.0f} rps, served {sample.served_rps:.0f} rps, "
            f"p{self._objective.percentile:g} {latency(sample.latency)} "
            f"(objective {latency(self._objective.seconds)}), "
            f"loops {percent(sample.utilization)} busy, "
            f"pods x workers {fleet(sample.wanted_replicas, sample.wanted_workers)}, "
            f"{sample.serving} workers serving, binding {sample.binding or NONE}, "
            f"failed {sample.failed}, {sample.reason or 'no decision yet'}: {sample.message}"
        )

    def _table(self, samples: Sequence[RunSample], recording: Recording) -> Table:
        newest = samples[-1]
        table = Table(caption=self._caption(newest, recording), caption_justify="left")
        for name in ("time", "phase"):
            table.add_column(name)
        columns = (
            "offered\nrps",
            "served\nrps",
            f"p{self._objective.percentile:g}\n(<= {latency(self._objective.seconds)})",
            "loops\nbusy",
            "wanted\npods x workers",
            "workers\nserving",
            "failed",
        )
        for name in columns:
            table.add_column(name, justify="right")
        table.add_column("binding")
        for sample in samples:
            table.add_row(*self._cells(sample), style="bold" if sample is newest else "dim")
        return table

    def _cells(self, sample: RunSample) -> tuple[str | Text, ...]:
        late = sample.latency is not None and sample.latency > self._objective.seconds
        return (
            elapsed(sample.at),
            self._phases[sample.phase].name,
            f"{sample.offered_rps:.0f}",
            f"{sample.served_rps:.0f}",
            Text(latency(sample.latency), style="red" if late else "green"),
            percent(sample.utilization),
            fleet(sample.wanted_replicas, sample.wanted_workers),
            str(sample.serving),
            Text(str(sample.failed), style="red" if sample.failed else ""),
            sample.binding or NONE,
        )

    @staticmethod
    def _caption(newest: RunSample, recording: Recording) -> Text:
        text = Text(f"{newest.reason or 'no decision yet'}: {newest.message}", style="default")
        for condition in recording.view.conditions:
            if condition.status == "True" and condition.type not in HEALTHY_WHEN_TRUE:
                text.append(f"\n{condition.type}: {condition.message}", style="yellow")
        return text
