"""The run as one self-contained page: three charts on one time axis, as inline SVG.

No script is needed to read it and nothing is loaded from anywhere; it follows the reader's
light or dark setting. Marks say more on hover.
"""

from collections.abc import Sequence
from html import escape
from importlib import resources

from aiapi_demo.chart import Area, Axis, Chart, Line, Mark, Point
from aiapi_demo.console_summary import workers
from aiapi_demo.live_view import clock, grid, milliseconds
from aiapi_demo.recording import Recording, Sample, SizeChange
from aiapi_demo.schedule import starts
from aiapi_demo.summary import DemoObjective, DemoReport, OperatorKill, Summary


def render(report: DemoReport) -> str:
    """The whole page."""
    phases, summary, recording = report.phases, report.summary, report.recording
    begins = starts(phases)
    axis = Axis(
        end=begins[-1],
        bands=tuple(
            (begin, end, phase.name)
            for phase, begin, end in zip(phases, begins[:-1], begins[1:], strict=True)
        ),
    )
    samples = [sample for sample in recording.samples if sample.at <= begins[-1]]
    marks = _marks(recording, report.kill)
    charts = (
        _load(samples),
        _workers(samples, marks, summary),
        _latency(samples, report.objective),
    )
    page = resources.files(__package__).joinpath("timeline.template.html").read_text("utf-8")
    parts = {
        "{{verdict}}": _verdict(report.unmet),
        "{{facts}}": _facts(summary, report.objective),
        "{{charts}}": "\n".join(chart.svg(axis) for chart in charts),
        "{{phases}}": _phases(summary),
        "{{decisions}}": _decisions(recording.changes),
        "{{conditions}}": _conditions(recording),
    }
    for name, content in parts.items():
        page = page.replace(name, content)
    return page


def _points(samples: Sequence[Sample], field: str) -> tuple[Point, ...]:
    return tuple((sample.at, getattr(sample, field)) for sample in samples)


def _load(samples: Sequence[Sample]) -> Chart:
    return Chart(
        title="Requests a second",
        unit="",
        series=(
            Area("offered", "muted", _points(samples, "offered_rps")),
            Line("served", "accent", _points(samples, "served_rps")),
        ),
    )


def _workers(samples: Sequence[Sample], marks: tuple[Mark, ...], summary: Summary) -> Chart:
    return Chart(
        title="Workers in the fleet",
        unit="",
        series=(
            Area("serving", "accent", _points(samples, "serving"), step=True),
            Line("wanted", "strong", _points(samples, "wanted"), step=True),
        ),
        level=(float(summary.static_workers), "static fleet"),
        marks=marks,
        height=200,
    )


def _latency(samples: Sequence[Sample], objective: DemoObjective) -> Chart:
    name = f"p{objective.percentile:g}"
    points = tuple(
        (sample.at, None if sample.latency is None else 1000 * sample.latency) for sample in samples
    )
    return Chart(
        title=f"Latency, {name}",
        unit=" ms",
        series=(Line(name, "accent", points),),
        level=(1000 * objective.seconds, "objective"),
    )


def _marks(recording: Recording, kill: OperatorKill | None) -> tuple[Mark, ...]:
    marks = [
        Mark(
            at=change.at,
            kind="decision",
            text=f"{clock(change.at)} {change.reason}: "
            f"{grid(change.workers_before, change.replicas_before)} to "
            f"{grid(change.workers, change.replicas)} (workers x pods). {change.message}",
        )
        for change in recording.changes
    ]
    marks += [
        Mark(
            at=diagnosis.at,
            kind="diagnosis",
            text=f"{clock(diagnosis.at)} {diagnosis.condition.type} is "
            f"{diagnosis.condition.status}. {diagnosis.condition.message}",
        )
        for diagnosis in recording.diagnoses
        if diagnosis.condition.type == "DependencyBound" and diagnosis.condition.status == "True"
    ]
    if kill:
        marks.append(Mark(at=kill.at, kind="kill", text=f"{clock(kill.at)} operator killed"))
        marks.append(Mark(at=kill.back_at, kind="kill", text=f"{clock(kill.back_at)} and back"))
    return tuple(mark for mark in marks if mark.at >= 0)


def _verdict(unmet: Sequence[str]) -> str:
    if not unmet:
        return '<p class="verdict good">All that the demo promises held.</p>'
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in unmet)
    return f'<div class="verdict bad">Did not hold:<ul>{items}</ul></div>'


def _facts(summary: Summary, objective: DemoObjective) -> str:
    saving = summary.saving_percent
    facts = (
        (f"{summary.requests:,}", "requests sent"),
        (f"{summary.failed:,}", "failed"),
        ("-" if saving is None else f"{saving:.0f} %", "saved against a static fleet"),
        (
            f"{summary.worker_seconds:,.0f}",
            f"worker-seconds of {summary.static_worker_seconds:,.0f}",
        ),
        (milliseconds(objective.seconds), f"objective at p{objective.percentile:g}"),
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
                milliseconds(phase.p50_seconds),
                milliseconds(phase.p95_seconds),
                workers(phase),
            )
            for phase in summary.phases
        ]
    )


def _decisions(changes: Sequence[SizeChange]) -> str:
    return _rows(
        [
            (
                clock(change.at),
                grid(change.workers_before, change.replicas_before),
                grid(change.workers, change.replicas),
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
                clock(max(0.0, diagnosis.at)),
                diagnosis.condition.type,
                diagnosis.condition.status,
                diagnosis.condition.message,
            )
            for diagnosis in recording.diagnoses
            if diagnosis.at > 0
        ]
    )
