"""What the commands write: every number from the status, and what would change it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from aiapi_operator.api.summary import age, fraction, from_manifest, number, seconds
from aiapi_operator.plugin import mode, top
from aiapi_operator.plugin.binding import what_would_change_it
from aiapi_operator.plugin.cluster_access import ClusterOptions
from aiapi_operator.plugin.explain import explanation, show

NOON = datetime(2026, 1, 1, 12, 5, tzinfo=UTC)


def written(what: Any, *, width: int = 200, color: bool = False) -> str:
    out = StringIO()
    Console(file=out, width=width, force_terminal=color, highlight=False).print(what)
    return out.getvalue()


def test_a_line_of_top(aiapi: dict[str, Any]) -> None:
    text = written(top.table([from_manifest(aiapi)], ClusterOptions(everywhere=True)))
    head, line = text.splitlines()
    assert head.split()[:3] == ["NAMESPACE", "NAME", "READY"]
    cells = "shop assistant True 118 6 2/2 x 4 2 x 4 62% 912ms p95 800ms 38% EventLoop Auto"
    assert " ".join(line.split()) == f"{cells} DependencyBound"
    assert "\x1b[" not in text
    assert "\x1b[" in written(top.table([from_manifest(aiapi)], ClusterOptions()), color=True)


def test_one_that_the_operator_has_not_seen_yet_has_a_line_too(aiapi: dict[str, Any]) -> None:
    del aiapi["status"]
    line = written(top.table([from_manifest(aiapi)], ClusterOptions())).splitlines()[1]
    assert line.split()[:4] == ["assistant", "Unknown", "-", "-"]


@pytest.fixture
def explained(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def explain(aiapi: dict[str, Any], events: list[dict[str, Any]] | None = None) -> str:
        found = explanation(aiapi, events, last=2)
        show(found, Console(width=160, highlight=False), now=NOON)
        assert json.dumps(found.document())
        return capsys.readouterr().out

    return explain


def event(reason: str, minute: int, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": reason},
        "involvedObject": {"uid": "1"},
        "reason": reason,
        "message": f"because of {reason}",
        "type": "Normal",
        "lastTimestamp": f"2026-01-01T12:{minute:02}:00Z",
        **more,
    }


def test_an_explanation_has_the_numbers_what_binds_and_what_would_change_it(
    aiapi: dict[str, Any], explained: Callable[..., str]
) -> None:
    text = explained(aiapi, [event("ScaledUp", 4, count=3), event("Ready", 1), event("Old", 0)])
    for told in (
        "p95 within 800ms",
        "now 912ms",
        "118 rps arrive, 36 in flight, busiest pod's loops 62% busy, 94% of the time",
        "6 workers for 148 rps expected x 27ms / 70%",
        "Steady since 5m: 6 workers needed",
        "38%: 0.13 USD an hour instead of 0.21, against 2 pods x 5 all day",
        "EventLoop: event-loop time",
        "above about 156 rps expected (148 now) one more worker is needed: each carries 26 rps",
        "below about 130 rps one fewer is",
        "if a request cost 13.5ms of loop time instead of 27ms, about 3 of the 6 workers would do",
        "DependencyBound=True (UpstreamSlow) Look at the upstream.",
        "because of ScaledUp (x3)",
        "because of Ready",
    ):
        assert told in text, told
    assert "because of Old" not in text
    assert "MetricsStale" not in text
    assert "rps shed" not in text


def test_events_that_may_not_be_read_are_told(
    aiapi: dict[str, Any], explained: Callable[..., str]
) -> None:
    assert "may not be read" in explained(aiapi, None)
    assert "None within the hour" in explained(aiapi, [])


@pytest.mark.parametrize(
    ("binding", "told"),
    [
        ("Floor", "a lower spec.replicas.min (2 now)"),
        ("Ceiling", "a higher spec.replicas.max (20 now)"),
        ("Concurrency", "a higher spec.workers.maxConcurrency"),
        ("Threads", "more threads in a worker"),
        ("Held", "answers of the pods"),
        ("SomethingNew", ""),
    ],
)
def test_each_constraint_has_its_own_way_out(
    aiapi: dict[str, Any], binding: str, told: str
) -> None:
    aiapi["status"]["need"]["binding"] = binding
    assert told in " ".join(what_would_change_it(from_manifest(aiapi), aiapi["spec"]))


def test_what_is_switched_off_is_told_first(aiapi: dict[str, Any]) -> None:
    aiapi["spec"]["scaling"]["mode"] = "Paused"
    assert what_would_change_it(from_manifest(aiapi), aiapi["spec"]) == [
        "spec.scaling.mode is Paused: kubectl aiapi resume assistant"
    ]
    aiapi["spec"]["scaling"]["mode"] = "Recommend"
    assert "nothing is acted on" in what_would_change_it(from_manifest(aiapi), aiapi["spec"])[-1]


def test_a_switch_says_what_was_before_and_who_may_set_it_back(aiapi: dict[str, Any]) -> None:
    after = {**aiapi, "spec": {"scaling": {"mode": "Paused"}}}
    first, second = mode.summary_lines(aiapi, after, dry_run=True)
    assert first.startswith("aiapi/assistant: mode was Auto, is now Paused (dry run")
    assert second == "note: argocd-controller set the mode before, and may set it back"
    assert "already" in mode.summary_lines(aiapi, aiapi, dry_run=False)[0]


def test_numbers_as_the_status_writes_them() -> None:
    assert (seconds("912ms"), seconds(None), seconds("soon")) == (0.912, None, None)
    assert (fraction("38%"), fraction("38"), number("0.13"), number("-")) == (
        0.38,
        None,
        0.13,
        None,
    )


@pytest.mark.parametrize(
    ("time", "told"),
    [
        ("2026-01-01T12:04:10Z", "50s"),
        ("2026-01-01T12:00:00Z", "5m"),
        ("2026-01-01T09:00:00Z", "3h"),
        ("2025-12-20T09:00:00Z", "12d"),
        ("2026-01-01T13:00:00Z", "0s"),
        ("yesterday", "-"),
        (None, "-"),
    ],
)
def test_how_long_ago(time: str | None, told: str) -> None:
    assert age(time, NOON) == told
