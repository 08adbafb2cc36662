"""AIApis in a service mesh: the admin port stays out of it, requests stay in it."""

from dataclasses import replace
from typing import Any

import pytest
from manifests_support.samples import CONTEXT, aiapi, with_template

from aiapi_operator.manifests import network_policy, pod_template
from aiapi_operator.manifests.mesh import Mesh

EXCLUDED = {
    Mesh.ISTIO: {"traffic.sidecar.istio.io/excludeInboundPorts": "9000"},
    Mesh.LINKERD: {"config.linkerd.io/skip-inbound-ports": "9000"},
}
TLS = {"aiapi.dev/admin-scheme": "https"}
PROXY = {Mesh.ISTIO: [8000, 15008], Mesh.LINKERD: [8000, 4143]}
METRICS = {Mesh.ISTIO: [15020, 15090], Mesh.LINKERD: [4191]}


def ports(rule: dict[str, Any]) -> list[int]:
    return [each["port"] for each in rule["ports"]]


@pytest.mark.parametrize("mesh", EXCLUDED)
def test_the_admin_port_is_excluded(mesh: Mesh) -> None:
    metadata = pod_template.build(aiapi(), replace(CONTEXT, mesh=mesh))["metadata"]
    assert metadata["annotations"] == EXCLUDED[mesh] | TLS


@pytest.mark.parametrize("mesh", EXCLUDED)
def test_a_pod_template_may_exclude_more(mesh: Mesh) -> None:
    own = dict.fromkeys(EXCLUDED[mesh], "9000,5432")
    spec = with_template(metadata={"annotations": own})
    metadata = pod_template.build(spec, replace(CONTEXT, mesh=mesh))["metadata"]
    assert metadata["annotations"] == own | TLS


@pytest.mark.parametrize("mesh", EXCLUDED)
def test_peers_reach_the_proxy_and_only_prometheus_its_metrics(mesh: Mesh) -> None:
    context = replace(CONTEXT, mesh=mesh, metrics_from={"team": "sre"})
    everyone, admin, metrics = network_policy.build(aiapi(), context)["spec"]["ingress"]
    assert ports(everyone) == PROXY[mesh]
    assert ports(admin) == [9000]
    assert ports(metrics) == METRICS[mesh]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"team": "sre"}}}]
    without = network_policy.build(aiapi(), replace(CONTEXT, mesh=mesh))["spec"]["ingress"]
    assert [ports(rule) for rule in without] == [PROXY[mesh], [9000]]


def test_without_a_mesh_nothing_is_added() -> None:
    assert pod_template.build(aiapi(), CONTEXT)["metadata"]["annotations"] == TLS
    rules = network_policy.build(aiapi(), replace(CONTEXT, metrics_from={"team": "sre"}))
    assert [ports(rule) for rule in rules["spec"]["ingress"]] == [[8000], [9000]]
