"""The output of the commands: the numbers from the status, and what would change it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from aiapi_operator.api.summary import age, fraction, from_manifest, number, seconds
from aiapi_operator.plugin import checks, mode, top
from aiapi_operator.plugin import output as out
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
    cells = "shop assistant True 118 6 2/2 x 4 2 x 4 62% 912ms p95 800ms 0% 38% EventLoop Auto"
    assert " ".join(line.split()) == f"{cells} DependencyBound"
    assert "\x1b[" not in text
    assert "\x1b[" in written(top.table([from_manifest(aiapi)], ClusterOptions()), color=True)


def test_the_first_byte_is_shown_where_it_is_closest_to_being_missed(
    aiapi: dict[str, Any], explained: Callable[..., str]
) -> None:
    aiapi["spec"]["objective"]["firstByte"] = {"percentile": 99, "threshold": "300ms"}
    shown = {"type": "FirstByte", "percentile": "p99", "threshold": "300ms", "measured": "310ms"}
    aiapi["status"]["objective"] = shown
    line = written(top.table([from_manifest(aiapi)], ClusterOptions())).splitlines()[1]
    assert " 310ms p99 first byte 300ms " in " ".join(line.split())
    assert "p99 first byte within 300ms, now 310ms" in explained(aiapi)
    view = from_manifest(aiapi)
    assert view.misses_objective
    expected = {"percentile": "p99 first byte", "threshold": "300ms", "measured": "310ms"}
    assert view.document()["objective"] == expected


@pytest.mark.parametrize(
    ("objective", "percentile", "threshold"),
    [
        ({}, "p95", "800ms"),
        ({"latency": {"threshold": "2s"}}, "p95", "2s"),
        ({"firstByte": {"percentile": 90}}, "p90 first byte", "800ms"),
    ],
)
def test_the_objective_of_the_spec_is_shown_before_there_is_a_status(
    aiapi: dict[str, Any], objective: dict[str, Any], percentile: str, threshold: str
) -> None:
    del aiapi["status"]
    aiapi["spec"]["objective"] = objective
    view = from_manifest(aiapi)
    assert (view.percentile, view.objective, view.measured) == (percentile, threshold, "")


def test_an_aiapi_without_a_status_has_a_line(aiapi: dict[str, Any]) -> None:
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


def test_an_explanation_has_the_numbers_the_constraint_and_what_would_change_it(
    aiapi: dict[str, Any], explained: Callable[..., str]
) -> None:
    text = explained(aiapi, [event("ScaledUp", 4, count=3), event("Ready", 1), event("Old", 0)])
    for line in (
        "p95 within 800ms",
        "now 912ms",
        "118 rps, 36 in flight, busiest pod's event loops 62% busy, 94% of the time",
        "6 workers for 148 expected rps x 27ms / 70%",
        "Steady since 5m: 6 workers needed",
        "38%: 0.13 USD per hour instead of 0.21, compared with 2 pods x 5 all the time",
        "EventLoop: event-loop time",
        "above about 156 expected rps (now 148): one more worker, as each serves 26 rps",
        "below about 130 expected rps: one worker fewer",
        "loop time of 13.5ms per request instead of 27ms: about 3 instead of 6 workers",
        "DependencyBound=True for 5m (UpstreamSlow) Look at the upstream.",
        "because of ScaledUp (x3)",
        "because of Ready",
    ):
        assert line in text, line
    assert "because of Old" not in text
    assert "MetricsStale" not in text
    assert "rps shed" not in text
    assert "failing" not in text


@pytest.fixture
def failing(aiapi: dict[str, Any]) -> dict[str, Any]:
    """An AIApi that answers every request with a 500."""
    found = {
        "type": "RequestsFailing",
        "status": "True",
        "reason": "ServerErrors",
        "message": "100 % of the requests of the last minute failed.",
        "lastTransitionTime": "2026-01-01T12:00:00Z",
    }
    status = aiapi["status"]
    status["load"]["failing"] = "100%"
    status["conditions"] = [status["conditions"][0], found]
    del status["savings"]["percent"]
    status["savings"]["withheld"] = "RequestsFailing"
    return aiapi


def test_failing_requests_are_shown_and_no_saving_is(
    failing: dict[str, Any], explained: Callable[..., str]
) -> None:
    line = written(top.table([from_manifest(failing)], ClusterOptions())).splitlines()[1]
    assert "p95 800ms 100% - EventLoop Auto RequestsFailing" in " ".join(line.split())
    text = explained(failing)
    for part in (
        "100% of the requests failing",
        "not shown while requests fail",
        "RequestsFailing=True for 5m (ServerErrors) 100 % of the requests",
    ):
        assert part in text, part
    assert "0.13 USD" not in text


def test_doctor_finds_failing_requests(failing: dict[str, Any]) -> None:
    (found,) = checks.needs_attention([failing])
    assert found.result is checks.CheckResult.PROBLEM
    assert found.message.startswith("RequestsFailing=True: 100 % of the requests")


def test_a_saving_is_shown_with_the_time_in_which_the_fleet_failed(
    aiapi: dict[str, Any], explained: Callable[..., str]
) -> None:
    aiapi["status"]["savings"] |= {"observedSeconds": 7200, "missedSeconds": 360}
    text = " ".join(explained(aiapi).split())
    assert "the objective was missed or requests failed 5.0% of that time" in text
    aiapi["status"]["savings"] = {"observedSeconds": 600, "workerSeconds": 600}
    assert "not known before an hour was observed" in explained(aiapi)


def test_forbidden_events_are_reported(
    aiapi: dict[str, Any], explained: Callable[..., str]
) -> None:
    assert "not allowed to read events" in explained(aiapi, None)
    assert "None. Kubernetes keeps events" in explained(aiapi, [])


@pytest.mark.parametrize(
    ("binding", "change"),
    [
        ("Floor", "a lower spec.replicas.min (now 2)"),
        ("Ceiling", "a higher spec.replicas.max (now 20)"),
        ("Concurrency", "a higher spec.workers.maxConcurrency"),
        ("Threads", "more threads per worker"),
        ("Held", "responses of the pods"),
        ("SomethingNew", ""),
    ],
)
def test_each_constraint_has_its_own_changes(
    aiapi: dict[str, Any], binding: str, change: str
) -> None:
    aiapi["status"]["need"]["binding"] = binding
    assert change in " ".join(what_would_change_it(from_manifest(aiapi), aiapi["spec"]))


def test_the_mode_is_reported_first(aiapi: dict[str, Any]) -> None:
    aiapi["spec"]["scaling"]["mode"] = "Paused"
    assert what_would_change_it(from_manifest(aiapi), aiapi["spec"]) == [
        "spec.scaling.mode is Paused: kubectl aiapi resume assistant"
    ]
    aiapi["spec"]["scaling"]["mode"] = "Recommend"
    assert (
        "decisions are not applied" in what_would_change_it(from_manifest(aiapi), aiapi["spec"])[-1]
    )


def test_a_mode_change_shows_the_mode_before_and_who_may_revert_it(aiapi: dict[str, Any]) -> None:
    after = {**aiapi, "spec": {"scaling": {"mode": "Paused"}}}
    first, second = mode.summary_lines(aiapi, after, dry_run=True)
    assert first.startswith("aiapi/assistant: mode changed from Auto to Paused (dry run")
    assert second == "note: argocd-controller also manages the mode and may revert it"
    assert "already" in mode.summary_lines(aiapi, aiapi, dry_run=False)[0]


def test_numbers_from_the_status() -> None:
    assert (seconds("912ms"), seconds(None), seconds("soon")) == (0.912, None, None)
    assert (fraction("38%"), fraction("38"), number("0.13"), number("-")) == (
        0.38,
        None,
        0.13,
        None,
    )


@pytest.mark.parametrize(
    ("time", "text"),
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
def test_how_long_ago(time: str | None, text: str) -> None:
    assert age(time, NOON) == text


def test_text_of_several_lines_stays_readable_in_yaml() -> None:
    document = {"script": "set -e\nexec true\n", "one": "line"}
    assert out.to_yaml(document) == "script: |\n  set -e\n  exec true\none: line\n"
