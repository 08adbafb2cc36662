"""The run as a self-contained HTML page: three charts on one time axis.

The charts are inline SVG. The page has no script, loads nothing, and follows the reader's light or
dark setting. Marks show details on hover.
"""

from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

from aiapi_demo.console_summary import workers
from aiapi_demo.live_view import fleet
from aiapi_demo.recording import FleetChange, Recording, RunSample
from aiapi_demo.schedule import starts
from aiapi_demo.summary import DemoObjective, DemoReport, OperatorKill, Summary
from aiapi_operator.present.chart import Chart, Line, Mark, Point, TimeAxis, stylesheet
from aiapi_operator.present.numbers import elapsed, integer, latency, percent


def render(report: DemoReport) -> str:
    """The whole page."""
    phases, summary, recording = report.phases, report.summary, report.recording
    begins = starts(phases)
    axis = TimeAxis(
        end=begins[-1],
        bands=tuple(
            (begin, end, phase.name)
            for phase, begin, end in zip(phases, begins[:-1], begins[1:], strict=True)
        ),
    )
    samples = [sample for sample in recording.samples if sample.at <= begins[-1]]
    charts = (
        _load(samples, axis),
        _workers(samples, axis, _marks(recording, report.kill), summary),
        _latency(samples, axis, report.objective),
    )
    page = resources.files(__package__).joinpath("timeline.template.html").read_text("utf-8")
    parts = {
        "{{stylesheet}}": stylesheet(),
        "{{result}}": _result(report.unmet),
        "{{facts}}": _facts(summary, report.objective),
        "{{charts}}": "\n".join(chart.svg() for chart in charts),
        "{{phases}}": _phases(summary),
        "{{decisions}}": _decisions(recording.changes),
        "{{conditions}}": _conditions(recording),
    }
    for name, content in parts.items():
        page = page.replace(name, content)
    return page


def _line(name: str, tone: str, samples: Sequence[RunSample], field: str, **style: Any) -> Line:
    points: list[Point] = [(sample.at, getattr(sample, field)) for sample in samples]
    return Line(name=name, tone=tone, points=points, **style)


def _load(samples: Sequence[RunSample], axis: TimeAxis) -> Chart:
    return Chart(
        title="Load",
        unit="requests/s",
        axis=axis,
        lines=(
            _line("offered", "muted", samples, "offered_rps", filled=True),
            _line("served", "accent", samples, "served_rps"),
        ),
    )


def _workers(
    samples: Sequence[RunSample], axis: TimeAxis, marks: tuple[Mark, ...], summary: Summary
) -> Chart:
    return Chart(
        title="Workers in the fleet",
        unit="",
        axis=axis,
        lines=(
            _line("serving", "accent", samples, "serving", step=True, filled=True),
            _line("wanted", "strong", samples, "wanted", step=True),
        ),
        level=(float(summary.static_workers), "static fleet"),
        marks=marks,
        whole=True,
        height=200,
    )


def _latency(samples: Sequence[RunSample], axis: TimeAxis, objective: DemoObjective) -> Chart:
    name = f"p{objective.percentile:g}"
    points: list[Point] = [
        (sample.at, None if sample.latency is None else 1000 * sample.latency) for sample in samples
    ]
    return Chart(
        title=f"Latency {name}",
        unit="ms",
        axis=axis,
        lines=(Line(name=name, tone="accent", points=points),),
        level=(1000 * objective.seconds, "objective"),
    )


def _marks(recording: Recording, kill: OperatorKill | None) -> tuple[Mark, ...]:
    marks = [
        Mark(
            time=change.at,
            kind="decision",
            text=f"{elapsed(change.at)} {change.reason}: "
            f"{fleet(change.replicas_before, change.workers_before)} to "
            f"{fleet(change.replicas, change.workers)} (pods x workers). {change.message}",
        )
        for change in recording.changes
    ]
    marks += [
        Mark(
            time=change.at,
            kind="diagnosis",
            text=f"{elapsed(change.at)} {change.condition.type} is "
            f"{change.condition.status}. {change.condition.message}",
        )
        for change in recording.condition_changes
        if change.condition.type == "DependencyBound" and change.condition.status == "True"
    ]
    if kill:
        marks.append(Mark(time=kill.at, kind="kill", text=f"{elapsed(kill.at)} operator killed"))
        restarted = f"{elapsed(kill.back_at)} operator restarted"
        marks.append(Mark(time=kill.back_at, kind="kill", text=restarted))
    return tuple(mark for mark in marks if mark.time >= 0)


def _result(unmet: Sequence[str]) -> str:
    if not unmet:
        return '<p class="result good">All expectations were met.</p>'
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in unmet)
    return f'<div class="result bad">Not met:<ul>{items}</ul></div>'


def _facts(summary: Summary, objective: DemoObjective) -> str:
    facts = (
        (integer(summary.requests), "requests sent"),
        (integer(summary.failed), "failed"),
        (percent(summary.saving), "saved compared with a static fleet"),
        (
            integer(summary.worker_seconds),
            f"worker-seconds of {integer(summary.static_worker_seconds)}",
        ),
        (latency(objective.seconds), f"objective at p{objective.percentile:g}"),
    )
    return "".join(f"<div><b>{value}</b><span>{label}</span></div>" for value, label in facts)


def _rows(rows: Sequence[Sequence[str]]) -> str:
    return "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )


def _phases(summary: Summary) -> str:
    return _rows(
        [
            (
                phase.name,
                f"{phase.offered_rps:.1f}",
                f"{phase.served_rps:.1f}",
                str(phase.failed),
                latency(phase.p50_seconds),
                latency(phase.p95_seconds),
                workers(phase),
            )
            for phase in summary.phases
        ]
    )


def _decisions(changes: Sequence[FleetChange]) -> str:
    return _rows(
        [
            (
                elapsed(change.at),
                fleet(change.replicas_before, change.workers_before),
                fleet(change.replicas, change.workers),
                change.reason,
                change.message,
            )
            for change in changes
        ]
    )


def _conditions(recording: Recording) -> str:
    return _rows(
        [
            (
                elapsed(change.at),
                change.condition.type,
                change.condition.status,
                change.condition.message,
            )
            for change in recording.condition_changes
            if change.at > 0
        ]
    )
