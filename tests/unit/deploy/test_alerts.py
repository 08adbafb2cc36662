"""Tests that the rules are valid, and that each alert fires correctly and has a runbook."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_support.helm import CHART, ROOT

HERE = Path(__file__).parent
RULES = CHART / "files" / "rules.yaml"
CASES = HERE / "rules_test.yaml"
DOCS = ROOT / "docs"


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def promtool(*args: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not on the PATH")
    return subprocess.run(
        [program, *args], cwd=HERE, capture_output=True, text=True, timeout=180, check=False
    )


def test_the_rules_are_valid() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert checked.returncode == 0, checked.stderr + checked.stdout


@pytest.mark.slow
def test_each_alert_fires_only_when_it_should() -> None:
    tested = promtool("test", "rules", CASES.name)
    assert tested.returncode == 0, tested.stderr + tested.stdout


def test_each_alert_has_a_firing_and_a_silent_case() -> None:
    kinds: dict[str, set[bool]] = {name: set() for name in alerts()}
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for check in case["alert_rule_test"]:
            kinds[check["alertname"]].add(bool(check["exp_alerts"]))
    assert {name for name, seen in kinds.items() if seen != {True, False}} == set()


def test_alerts_and_runbooks_match() -> None:
    sections = re.findall(r"^## (\w+)$", (DOCS / "alerts.md").read_text(), re.MULTILINE)
    assert sorted(sections) == sorted(alerts())
    for name, alert in alerts().items():
        annotations = alert["annotations"]
        assert annotations["runbook_url"].endswith(f"docs/alerts.md#{name.lower()}")
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert annotations["summary"].endswith(".")


def test_rules_and_runbooks_use_documented_metrics() -> None:
    documented = set(
        re.findall(r"^\| `(aiapi_\w+)`", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    )
    for text in (RULES.read_text(), (DOCS / "alerts.md").read_text()):
        named = set(re.findall(r"\baiapi_(?:operator|activator)_\w+", text))
        assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in named} <= documented
