"""``kubectl aiapi explain NAME``: the last decision, what binds it, and what would change it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aiapi_operator.api.summary import AIApiSummary, age, from_manifest, parse_time
from aiapi_operator.cluster.errors import Forbidden
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.plugin import activation
from aiapi_operator.plugin import output as out
from aiapi_operator.plugin.binding import describe_binding, what_would_change_it
from aiapi_operator.plugin.cluster_access import (
    ClusterOptions,
    cluster_options,
    get_aiapi,
    name_argument,
    with_reader,
)
from aiapi_operator.present.numbers import count

_NOT_BY_LOOP_TIME = {"Concurrency", "Threads"}
DECISIONS = {"ScaledUp", "ScaledDown", "Rebalanced"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentEvent:
    """An Event of the AIApi."""

    time: str
    reason: str
    message: str
    count: int
    warning: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The content of the output. ``events`` is None if reading them is forbidden."""

    view: AIApiSummary
    binds: str
    changes: list[str]
    events: list[RecentEvent] | None

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        events = None if self.events is None else [_event_document(each) for each in self.events]
        return {
            **self.view.document(),
            "binds": self.binds,
            "whatWouldChangeIt": self.changes,
            "events": events,
        }


def _event_document(event: RecentEvent) -> dict[str, Any]:
    return {
        "time": event.time,
        "reason": event.reason,
        "message": event.message,
        "count": event.count,
        "type": "Warning" if event.warning else "Normal",
    }


@click.command()
@name_argument
@cluster_options()
@click.option(
    "--last",
    type=click.IntRange(1, 200),
    default=10,
    show_default=True,
    help="Maximum number of events.",
)
@out.output_option()
def explain(where: ClusterOptions, *, name: str, last: int, output: out.Format) -> None:
    """Explain why NAME has the size it has."""

    async def look(reader: Reader) -> tuple[Manifest, list[Manifest] | None]:
        aiapi = await get_aiapi(reader, where, name)
        try:
            events = await reader.events(aiapi["metadata"]["namespace"], name)
        except Forbidden:
            return aiapi, None
        uid = aiapi["metadata"]["uid"]
        return aiapi, [e for e in events if e["involvedObject"].get("uid") in (None, uid)]

    aiapi, events = with_reader(where, look)
    found = explanation(aiapi, events, last=last)
    if output == "table":
        show(found, out.console(), now=datetime.now(UTC))
    else:
        out.emit(found.document(), output)


def explanation(aiapi: Manifest, events: list[Manifest] | None, *, last: int) -> Explanation:
    """Build the explanation."""
    view = from_manifest(aiapi)
    recent = None
    if events is not None:
        recent = sorted(map(_recent_event, events), key=lambda each: each.time)[-last:]
    return Explanation(
        view=view,
        binds=describe_binding(view),
        changes=what_would_change_it(view, aiapi.get("spec") or {}),
        events=recent,
    )


def _recent_event(event: Manifest) -> RecentEvent:
    times = (event.get(key) for key in ("lastTimestamp", "eventTime", "firstTimestamp"))
    return RecentEvent(
        time=next((time for time in times if time), event["metadata"].get("creationTimestamp", "")),
        reason=event.get("reason", ""),
        message=event.get("message", ""),
        count=event.get("count") or 1,
        warning=event.get("type") == "Warning",
    )


def show(found: Explanation, console: Console, *, now: datetime) -> None:
    """Print the explanation."""
    view = found.view
    title = Text.assemble(
        (view.name, "bold"),
        f" in {view.namespace}: {view.ready_replicas} of {count(view.replicas, 'pod')} ready,"
        f" {count(view.workers, 'worker')} per pod, mode {view.mode}",
    )
    console.print(title)
    out.print_for_people(console, _facts(view, now))
    _section(console, "What binds", [Text(_binding(found))])
    _section(console, "What would change it", [_bullet(text) for text in found.changes])
    _section(console, "What needs attention", [_problem(each, now) for each in view.problems])
    _section(console, "Last events", _events(found.events, now))


def _facts(view: AIApiSummary, now: datetime) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, fact in (
        ("Phase", activation.phase(view, now)),
        ("Objective", _objective(view)),
        ("Load", _load(view)),
        ("Need", _need(view)),
        ("Decision", _decision(view, now)),
        ("Saved", _saved(view)),
        ("At zero", activation.at_zero(view)),
    ):
        if fact:
            grid.add_row(Text(name, style="bold"), fact)
    return grid


def _objective(view: AIApiSummary) -> Text:
    text = Text(f"{view.percentile} within {view.objective}")
    if view.measured:
        style = "red" if view.misses_objective else "green"
        text.append(", ").append(f"now {view.measured}", style=style)
    return text


def _load(view: AIApiSummary) -> Text | None:
    load = view.load
    formats = (
        ("requestsPerSecond", "{} rps"),
        ("inFlight", "{} in flight"),
        ("utilization", "busiest pod's event loops {} busy"),
        ("upstreamShare", "{} of the time waiting for upstreams"),
        ("threads", "{} of the threads busy"),
        ("shedPerSecond", "{} rps shed"),
    )
    facts = [text.format(load[key]) for key, text in formats if load.get(key) not in (None, "0")]
    found = Text(", ".join(facts))
    if load.get("failing") not in (None, "0%"):
        failing = f"{view.failing} of the requests failing"
        found.append(", " if facts else "").append(failing, style="red" if view.is_failing else "")
    return found if found.plain else None


def _need(view: AIApiSummary) -> Text | None:
    need = view.need
    if not need:
        return None
    text = count(need.get("workers", 0), "worker")
    by_loops = need.get("binding") not in _NOT_BY_LOOP_TIME
    if by_loops and need.get("demandPerSecond") and need.get("serviceDemand"):
        text += (
            f" for {need['demandPerSecond']} expected rps x {need['serviceDemand']}"
            f" / {need.get('targetUtilization', '?')}"
        )
    return Text(text)


def _decision(view: AIApiSummary, now: datetime) -> Text | None:
    decision = view.decision
    if not decision:
        return None
    return Text.assemble(
        (f"{decision.get('reason', '')}", "bold"),
        f" since {age(decision.get('time'), now)}: {decision.get('message', '')}",
    )


def _saved(view: AIApiSummary) -> Text | None:
    saved = view.savings
    if view.saving_withheld:
        return Text(view.saving_withheld, style="yellow")
    if not saved.get("percent"):
        return Text("not known before an hour was observed") if saved else None
    text = f"{saved['percent']}"
    if saved.get("costPerHour"):
        text += (
            f": {saved['costPerHour']} {saved.get('currency', '')} per hour instead of"
            f" {saved.get('baselinePerHour', '?')}"
        )
    pods = count(saved.get("baselineReplicas", 0), "pod")
    baseline = f"{pods} x {saved.get('baselineWorkers', '?')}"
    return Text(f"{text}, compared with {baseline} all the time{_missed(saved)}")


def _missed(saved: dict[str, Any]) -> str:
    """How long the fleet failed in the time that the saving is for."""
    seconds, missed = saved.get("observedSeconds", 0), saved.get("missedSeconds", 0)
    if not seconds or not missed:
        return ""
    share = max(0.1, 100 * missed / seconds)
    return f"; the objective was missed or requests failed {share:.1f}% of that time"


def _binding(found: Explanation) -> str:
    name = found.view.need.get("binding", "")
    return f"{name}: {found.binds}" if name and found.binds else name or found.binds


def _bullet(text: str) -> Text:
    return Text(f"- {text}")


def _problem(condition: dict[str, str], now: datetime) -> Text:
    since = condition.get("lastTransitionTime")
    return Text.assemble(
        (f"{condition['type']}={condition['status']}", "yellow"),
        f" for {age(since, now)}" if since else "",
        f" ({condition.get('reason', '')}) {condition.get('message', '')}",
    )


def _events(events: list[RecentEvent] | None, now: datetime) -> list[RenderableType]:
    if events is None:
        return [Text("You are not allowed to read events.")]
    if not events:
        return [Text("None. Kubernetes keeps events for an hour.")]
    grid = Table.grid(padding=(0, 2))
    for event in events:
        style = "yellow" if event.warning else "bold" if event.reason in DECISIONS else ""
        times = f" (x{event.count})" if event.count > 1 else ""
        when = parse_time(event.time)
        clock = when.astimezone().strftime("%H:%M:%S") if when else "-"
        grid.add_row(clock, age(event.time, now), Text(event.reason, style), event.message + times)
    return [grid]


def _section(console: Console, title: str, lines: list[Any]) -> None:
    if lines:
        console.print()
        console.print(Text(title, style="bold"))
        out.print_for_people(console, Padding(Group(*lines), (0, 0, 0, 2)))
