"""``simulate deployment/NAME``: a real Prometheus with what each instrumentation reports.

The labels are those that the instrumentation and the usual scrape configuration write.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_support.recorded import recorded

from aiapi_operator.cli import main
from aiapi_operator.plugin import simulate
from aiapi_operator.plugin.adopt.related import Belongings, find
from aiapi_operator.simulate import prometheus as client

END = 1_700_006_400
SECONDS = 3600
RATE = 20.0
"""Requests per second of each workload; probes come on top."""
CPU = 0.4
"""CPU seconds per second: 20 ms a request."""
PODS = 3


def pod(name: str) -> str:
    return f"{name}-7d9f8c6b5-x2k4p"


def fastapi(name: str) -> list[tuple[str, str, float]]:
    labels = f'namespace="shop",pod="{pod(name)}",job="{name}",status="2xx",method="POST"'
    return [
        ("http_requests_total", f'{labels},handler="/v1/answer"', RATE),
        ("http_requests_total", f'{labels},handler="/healthz"', 5.0),
    ]


SERIES = {
    "fastapi": fastapi("fastapi"),
    "starlette": [
        (
            "starlette_requests_total",
            f'kubernetes_namespace="shop",kubernetes_pod_name="{pod("starlette")}",path="/a"',
            RATE,
        )
    ],
    "oteldnew": [
        (
            "http_server_request_duration_seconds_count",
            'job="shop/oteldnew",instance="x",http_route="/v1/answer"',
            RATE,
        )
    ],
    "oteldold": [
        (
            "http_server_duration_milliseconds_count",
            'k8s_namespace_name="shop",k8s_deployment_name="oteldold",http_target="/v1/answer"',
            RATE,
        )
    ],
    "istio": [
        (
            "istio_requests_total",
            f'reporter="{reporter}",destination_workload_namespace="shop",destination_workload="istio"',
            RATE,
        )
        for reporter in ("destination", "source")
    ],
    "linkerd": [
        ("request_total", f'direction="{way}",namespace="shop",deployment="linkerd"', rate)
        for way, rate in (("inbound", RATE), ("outbound", 100.0))
    ],
    "nginx": [
        (
            "nginx_ingress_controller_requests",
            'exported_namespace="shop",exported_service="nginx-svc",status="200"',
            RATE,
        )
    ],
    "envoy": [
        ("envoy_cluster_upstream_rq_total", f'envoy_cluster_name="{name}"', rate)
        for name, rate in (("httproute/shop/envoy/rule/0", RATE), ("shop_envoy-two_80", 70.0))
    ],
    "sidecar": [
        (
            "envoy_http_downstream_rq_total",
            f'namespace="shop",pod="{pod("sidecar")}",envoy_http_conn_manager_prefix="{prefix}"',
            rate,
        )
        for prefix, rate in (("ingress", RATE), ("admin", 50.0))
    ],
}
SOURCES = {
    "fastapi": "prometheus-fastapi-instrumentator",
    "starlette": "starlette_exporter",
    "oteldnew": "OpenTelemetry (stable names)",
    "oteldold": "OpenTelemetry (old names)",
    "istio": "Istio",
    "linkerd": "Linkerd",
    "nginx": "ingress-nginx",
    "envoy": "Envoy",
    "sidecar": "Envoy (sidecar)",
}


def everything() -> list[tuple[str, str, float]]:
    counters = [each for series in SERIES.values() for each in series]
    # Another workload whose name begins like ours.
    counters += fastapi("fastapi-admin")
    counters.append(
        (
            "container_cpu_usage_seconds_total",
            f'namespace="shop",pod="{pod("fastapi")}",container="web"',
            CPU,
        )
    )
    counters += [
        (
            "http_request_duration_highr_seconds_bucket",
            f'namespace="shop",pod="{pod("fastapi")}",le="{bound}"',
            rate,
        )
        for bound, rate in (("0.25", RATE / 2), ("0.5", RATE), ("+Inf", RATE))
    ]
    return counters


def open_metrics() -> str:
    """Counters with constant rates, and the number of pods, every 30 s for an hour."""
    by_name: dict[str, list[tuple[str, float]]] = {}
    for name, labels, rate in everything():
        by_name.setdefault(name, []).append((labels, rate))
    lines = []
    for name, series in by_name.items():
        lines.append(f"# TYPE {name} unknown")
        for labels, rate in series:
            lines += [
                f"{name}{{{labels}}} {rate * second} {END - SECONDS + second}"
                for second in range(0, SECONDS + 1, 30)
            ]
    labels = 'namespace="shop",deployment="fastapi"'
    lines.append("# TYPE kube_deployment_status_replicas gauge")
    lines += [
        f"kube_deployment_status_replicas{{{labels}}} {PODS} {END - SECONDS + second}"
        for second in range(0, SECONDS + 1, 30)
    ]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with recorded(tmp_path_factory.mktemp("prometheus"), open_metrics()) as url:
        yield url


def belongings(name: str) -> Belongings:
    labels = {"app": name}
    container = {
        "name": "web",
        "image": "registry.example.com/web:1",
        "command": ["uvicorn", "web:app", "--workers", "2"],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8000}},
        "resources": {"requests": {"cpu": "1", "memory": "512Mi"}},
    }
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "replicas": 5,
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    service = {
        "kind": "Service",
        "metadata": {"name": f"{name}-svc"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8000}]},
    }
    return find(deployment, [deployment, service])


def run(name: str, url: str, monkeypatch: pytest.MonkeyPatch, *more: str) -> Any:
    monkeypatch.setattr(time, "time", lambda: float(END))
    monkeypatch.setattr(simulate, "with_reader", lambda *_: belongings(name))
    words = ("simulate", f"deployment/{name}", "--prometheus", url, "--last", "10m")
    return CliRunner().invoke(main, [*words, "--objective", "p95=800ms", *more])


@pytest.mark.parametrize("name", SERIES)
def test_the_requests_are_found(
    prometheus: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    result = run(name, prometheus, monkeypatch, "-o", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["traffic"]["source"] == SOURCES[name], found["traffic"]
    requests = found["rows"][0]["requests"]
    assert requests == pytest.approx(RATE * 600, rel=0.1)


def test_cost_and_savings_come_from_measured_pods_and_cpu(
    prometheus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = json.loads(run("fastapi", prometheus, monkeypatch, "-o", "json").stdout)
    assert found["missing"] == []
    assert found["assumedService"] is False
    assert found["now"]["pods"] == pytest.approx(PODS)
    assert found["now"]["workers"] == 2
    assert 0 < found["now"]["saved"] < 1
    text = run("fastapi", prometheus, monkeypatch).stdout
    assert "20ms of loop time per request" in text
    assert "Now: 3 pods (measured) x 2 workers" in text
    assert "saved: " in text


def test_what_prometheus_does_not_have_is_said(
    prometheus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = run("istio", prometheus, monkeypatch).stdout
    assert "defaults: not measured yet" in text
    assert "note: not in Prometheus: CPU of the pods" in text
    assert "Now: 5 pods (spec.replicas, not measured)" in text


def test_no_requests_is_an_error_that_says_what_was_looked_for(
    prometheus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run("unknown", prometheus, monkeypatch)
    assert result.exit_code == 2
    assert "no requests of Deployment unknown in namespace shop" in result.output
    assert "ingress-nginx" in result.output
    assert "--query" in result.output


def test_a_query_of_ones_own_is_used(prometheus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    query = 'sum(rate(istio_requests_total{reporter="source"}[2m]))'
    text = run("unknown", prometheus, monkeypatch, "--query", query).stdout
    assert f"Traffic from --query: {query}" in text


def test_presence_is_the_share_of_the_time(prometheus: str) -> None:
    found = client.fetch_presence(prometheus, "{__name__=~'istio.*'}", 7200, end=END)
    assert found == {"istio_requests_total": pytest.approx(0.5, abs=0.1)}
