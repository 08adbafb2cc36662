"""How the commands show an AIApi that may go to zero."""

from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from aiapi_operator.api.summary import from_manifest
from aiapi_operator.plugin import checks, top
from aiapi_operator.plugin.checks import CheckResult
from aiapi_operator.plugin.cluster_access import ClusterOptions
from aiapi_operator.plugin.explain import explanation, show

Explained = Callable[[dict[str, Any]], str]
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SLEEPS = "No pod runs; the next request starts pods and waits for them: no request for 5m."
COUNTS = "Pods answer requests: no request for 2m of 5m."
NOBODY = "Pods answer requests: no activator is ready."


def at_zero(aiapi: dict[str, Any]) -> dict[str, Any]:
    """The AIApi as the operator writes it while it sleeps."""
    aiapi["spec"]["replicas"]["min"] = 0
    status = aiapi["status"]
    for name in ("load", "need", "decision"):
        del status[name]
    ready = {"type": "Ready", "status": "True", "reason": "Asleep", "message": SLEEPS}
    status |= {"replicas": 0, "readyReplicas": 0, "conditions": [ready]}
    status["activation"] = {
        "phase": "Asleep",
        "since": "2026-01-01T09:00:00Z",
        "message": SLEEPS,
        "port": 20_007,
        "wakeReplicas": 3,
        "asleepSeconds": 7200,
    }
    return aiapi


def serving(aiapi: dict[str, Any], message: str = COUNTS) -> dict[str, Any]:
    aiapi["spec"]["replicas"]["min"] = 0
    since = "2026-01-01T11:00:00Z"
    aiapi["status"]["activation"] = {"phase": "Serving", "since": since, "message": message}
    return aiapi


def line(aiapi: dict[str, Any]) -> str:
    out = StringIO()
    table = top.table([from_manifest(aiapi)], ClusterOptions())
    Console(file=out, width=200, highlight=False).print(table)
    return " ".join(out.getvalue().splitlines()[1].split())


@pytest.fixture
def explained(capsys: pytest.CaptureFixture[str]) -> Explained:
    def explain(aiapi: dict[str, Any]) -> str:
        found = explanation(aiapi, [], last=2)
        show(found, Console(width=200, highlight=False), now=NOON)
        return capsys.readouterr().out

    return explain


def test_top_shows_an_aiapi_at_zero_without_load(aiapi: dict[str, Any]) -> None:
    cells = "assistant True asleep - 0/0 x 4 - - - p95 800ms - 38% - Auto Asleep"
    assert line(at_zero(aiapi)) == cells


@pytest.mark.parametrize("phase", ["Leaving", "Waking"])
def test_top_shows_the_phase_instead_of_the_load(aiapi: dict[str, Any], phase: str) -> None:
    aiapi["status"]["activation"] = {"phase": phase}
    assert f" True {phase.lower()} 6 2/2 x 4 " in line(aiapi)


def test_top_shows_the_load_while_pods_serve(aiapi: dict[str, Any]) -> None:
    assert " True 118 6 2/2 x 4 " in line(serving(aiapi))


def test_explain_says_since_when_it_sleeps_why_and_what_wakes_it(
    aiapi: dict[str, Any], explained: Explained
) -> None:
    text = explained(at_zero(aiapi))
    assert f"Asleep for 3h: {SLEEPS} Activators listen on port 20007." in text
    assert "no pod ran for 2h in total" in text
    assert "nobody sends requests: no pod runs" in text
    assert "- a request that is no probe: it starts 3 pods, and waits until one is ready" in text
    assert "- kubectl scale deployment/assistant --replicas=1 -n shop" in text
    assert "no decision" not in text
    assert "schedule" not in text
    aiapi["spec"]["scaling"]["schedules"] = [{"cron": "0 8 * * *"}]
    assert "- a schedule in spec.scaling.schedules that begins" in explained(aiapi)


def test_explain_says_when_it_may_sleep(aiapi: dict[str, Any], explained: Explained) -> None:
    aiapi["spec"]["scaling"]["toZeroAfter"] = "10m"
    text = explained(serving(aiapi))
    assert f"Serving for 60m: {COUNTS}" in text
    assert "- no request for 10m (spec.scaling.toZeroAfter), or up to three times" in text
    assert "Activators listen" not in text
    aiapi["spec"]["replicas"]["min"] = 1
    assert "toZeroAfter" not in explained(aiapi)


def test_explain_says_what_zero_would_save_in_mode_recommend(
    aiapi: dict[str, Any], explained: Explained
) -> None:
    aiapi["spec"]["scaling"]["mode"] = "Recommend"
    aiapi["status"]["activation"] = {"asleepSeconds": 5400}
    text = explained(aiapi)
    assert "replicas.min 0 in mode Auto would have saved the pods for 1h30m" in text
    assert "Phase" not in text


def test_an_aiapi_without_zero_has_nothing_of_it(
    aiapi: dict[str, Any], explained: Explained
) -> None:
    text = explained(aiapi)
    assert "Phase" not in text
    assert "At zero" not in text


def test_doctor_finds_nothing_wrong_with_an_aiapi_at_zero(aiapi: dict[str, Any]) -> None:
    found = checks.metrics([at_zero(aiapi)])
    expected = "1 AIApi (assistant), all pods respond; 1 asleep"
    assert (found.result, found.message) == (CheckResult.OK, expected)
    assert checks.needs_attention([aiapi]) == []
    assert checks.activators([aiapi]) == []


def test_doctor_warns_where_no_activator_lets_an_aiapi_go_to_zero(aiapi: dict[str, Any]) -> None:
    assert checks.activators([serving(aiapi)]) == []
    (found,) = checks.activators([serving(aiapi, NOBODY)])
    assert (found.name, found.result) == ("shop/assistant", CheckResult.PROBLEM)
    assert found.message == f"replicas.min is 0, but its pods do not stop. {NOBODY}"
    assert "activator.enabled" in found.hint
    ports = "Pods answer requests: all 10 ports of the activators are taken: raise more."
    (found,) = checks.activators([serving(aiapi, ports)])
    assert found.message.endswith(ports)
