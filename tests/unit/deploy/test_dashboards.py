"""Tests that the dashboard files are current and query documented metrics."""

import json
import re

import pytest
from deploy_support.helm import CHART, ROOT, script

FOLDER = CHART / "files" / "dashboards"


def test_files_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "monitoring"))
    made = script("monitoring/dashboards.py").generated()
    kept = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert kept == made, "run 'make dashboards'"


def test_panels_have_descriptions_and_query_documented_metrics() -> None:
    documented = set(
        re.findall(r"^\| `(aiapi_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    )
    for path in FOLDER.glob("*.json"):
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            assert panel["description"].endswith("."), panel["title"]
            for target in panel["targets"]:
                named = re.findall(r"\baiapi_(?:operator|activator)_\w+", target["expr"])
                assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in named} <= documented
                assert target["datasource"]["uid"] == "${datasource}"


def test_missing_data_is_not_shown_as_zero() -> None:
    shown = [
        f"{path.name}: {panel['title']}"
        for path in FOLDER.glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
        if "vector(" in target["expr"]
    ]
    assert shown == []
