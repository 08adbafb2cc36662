"""Tests the chart with real Helm, and its dashboards against a real Prometheus."""

import json
import re
from typing import Any

import pytest
from deploy_support.helm import CHART
from e2e_support.kubectl import eventually
from platform_support.prometheus import Prometheus

Release = Any  # defined in conftest.py of this folder
DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))
VALUES = {"$namespace": "shop", "$name": "hello", "$__rate_interval": "2m"}


def queries(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and expression of every query."""
    return [
        (panel["title"], target["expr"])
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def filled(expr: str) -> str:
    for variable, value in VALUES.items():
        expr = expr.replace(variable, value)
    return expr


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("cold_start")
def test_every_query_of_a_dashboard_returns_data(prometheus: Prometheus, path: Any) -> None:
    asked = queries(json.loads(path.read_text()))
    assert len(asked) >= 8

    def missing() -> list[str]:
        return [
            f"{title}: {expr}" for title, expr in asked if not prometheus.has_data(filled(expr))
        ]

    eventually(lambda: not missing(), within=60, what="data of every query", state=missing)


def test_recording_rules_record_and_no_alert_fires(prometheus: Prometheus) -> None:
    names = re.findall(r"record: (\S+)", (CHART / "files" / "rules.yaml").read_text())
    eventually(
        lambda: all(prometheus.has_data(name) for name in names), within=40, what="recorded data"
    )
    assert prometheus.query('ALERTS{alertstate="firing"}') == []
    (leaders,) = prometheus.query("sum(aiapi_operator_leader)")
    assert leaders["value"][1] == "1"


def test_helm_test_passes(release: Release) -> None:
    output = release.helm("test", "aiapi", "--logs", "--timeout=150s")
    assert re.search(r"ops/aiapi-operator-test is Ready after", output), output
    assert not release.operator.exists("aiapi", "aiapi-operator-test")


def test_another_operator_takes_over_without_scaling_down(release: Release) -> None:
    def leader() -> str:
        spec = release.operator.json("lease", "aiapi-operator")["spec"]
        return str(spec.get("holderIdentity") or "")

    wanted = release.shop.status("hello")["decision"]
    before = leader()
    release.operator("delete", "pod", before, "--wait=false")
    eventually(lambda: leader() not in ("", before), within=15, what="another operator leads")
    after = release.shop.status("hello")["decision"]
    assert (after["replicas"], after["workers"]) >= (wanted["replicas"], wanted["workers"])


def test_upgrade_and_uninstall_keep_pods_and_leave_no_objects(release: Release) -> None:
    before = release.shop.children("hello")["deployment"]["metadata"]["uid"]
    release.helm(
        "upgrade", "--install", "aiapi", str(CHART), "--set=replicas=1", "--wait", "--timeout=120s",
        "--set=metrics.dashboards.enabled=true",
    )  # fmt: skip
    assert not release.operator.exists("poddisruptionbudget", "aiapi-operator")
    assert release.operator.exists("configmap", "aiapi-operator-fleet-overview")
    release.put_to_zero("sleepy")
    release.helm("uninstall", "aiapi", "--wait", "--timeout=120s")
    assert release.shop.children("sleepy")["deployment"]["spec"]["replicas"] == 1
    kinds = "all,secret,lease,poddisruptionbudget,networkpolicy,role,rolebinding,configmap"
    # The CA of the admin ports stays: the pods that still run have certificates of it.
    own = (
        "serviceaccount/default",
        "configmap/kube-root-ca.crt",
        "secret/aiapi-operator-admin-ca",
    )

    def left() -> list[str]:
        names = release.operator("get", f"{kinds},serviceaccount", "-o", "name").split()
        return [name for name in names if name not in own]

    eventually(lambda: left() == [], within=60, what="an empty namespace", state=left)
    cluster_wide = release.operator(
        "get", "clusterrole,clusterrolebinding,priorityclass", "-o", "name", "-l",
        "app.kubernetes.io/name in (aiapi-operator,aiapi-activator)",
    )  # fmt: skip
    assert cluster_wide == ""

    def serving() -> bool:
        after = release.shop.children("hello")["deployment"]
        assert after["metadata"]["uid"] == before
        return int(after["status"].get("readyReplicas", 0)) >= 2

    eventually(serving, within=30, what="pods that serve without an operator")
