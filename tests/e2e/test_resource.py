"""`kubectl apply`: valid specs get defaults, invalid ones are rejected by field and rule."""

import json
from typing import Any

import pytest
from e2e_support.cluster import Cluster

REFUSED = {
    "workers min over max": ({"workers": {"min": 4, "max": 2}}, "spec.workers", "min"),
    "replicas min over max": ({"replicas": {"min": 4, "max": 2}}, "spec.replicas", "min"),
    "threshold zero": (
        {"objective": {"latency": {"threshold": "0s"}}},
        "spec.objective.latency.threshold",
        "0",
    ),
    "threshold not a duration": (
        {"objective": {"latency": {"threshold": "fast"}}},
        "spec.objective.latency.threshold",
        "800ms",
    ),
    "percentile too low": (
        {"objective": {"latency": {"percentile": 40}}},
        "spec.objective.latency.percentile",
        "50",
    ),
    "percentile too high": (
        {"objective": {"latency": {"percentile": 99.99}}},
        "spec.objective.latency.percentile",
        "99.9",
    ),
    "app without attribute": ({"app": "assistant.main"}, "spec.app", "module:attribute"),
    "negative price": ({"cost": {"cpuHour": "-1"}}, "spec.cost.cpuHour", ""),
    "no replicas": ({"replicas": {"min": 1, "max": 0}}, "spec.replicas.max", ""),
    "unknown mode": ({"scaling": {"mode": "Sometimes"}}, "spec.scaling.mode", "Recommend"),
    "unknown field": ({"imgae": "x"}, "spec.imgae", "unknown field"),
    "bad quantity": ({"workers": {"cpu": "lots"}}, "spec.workers.cpu", ""),
}


def body(name: str, spec: dict[str, Any]) -> str:
    head = {"apiVersion": "aiapi.dev/v1alpha1", "kind": "AIApi", "metadata": {"name": name}}
    return json.dumps({**head, "spec": spec})


def test_an_empty_spec_is_valid(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=body("empty", {}))
    spec = cluster.aiapi("empty")["spec"]
    assert "latency" not in spec.get("objective", {}), "firstByte may be added later"
    assert spec["replicas"] == {"min": 2, "max": 20}
    assert spec["scaling"]["mode"] == "Auto"


@pytest.mark.parametrize(("spec", "field", "rule"), REFUSED.values(), ids=REFUSED.keys())
def test_invalid_specs_are_rejected_by_field(
    cluster: Cluster, spec: dict[str, Any], field: str, rule: str
) -> None:
    output = cluster.kubectl.refused("apply", "-f", "-", stdin=body("bad", spec))
    assert field in output
    assert rule in output
    assert not cluster.kubectl.exists("aiapi", "bad")


def test_kubectl_explain_documents_the_resource(cluster: Cluster) -> None:
    output = cluster.kubectl("explain", "aiapi.spec.objective.latency.threshold")
    assert "threshold" in output
    assert "DESCRIPTION" in output
    assert "aiapis" in cluster.kubectl("api-resources", "--categories=all", "-o", "name")
