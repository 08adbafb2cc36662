"""An AIApi as returned by the API server, and a way to run a command."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aiapi_operator.cli import main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``aiapi`` with these arguments, without a cluster in the environment."""
    for name in ("KUBECONFIG", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*words: str, **options: Any) -> Result:
        return CliRunner().invoke(main, list(words), **options)

    return invoke


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    fields = {"type": kind, "status": status, "reason": reason, "message": message}
    return {**fields, "lastTransitionTime": "2026-01-01T12:00:00Z"}


@pytest.fixture
def aiapi() -> dict[str, Any]:
    """An AIApi under load, bound by an upstream."""
    return {
        "apiVersion": "aiapi.dev/v1alpha1",
        "kind": "AIApi",
        "metadata": {
            "name": "assistant",
            "namespace": "shop",
            "uid": "1",
            "managedFields": [
                {
                    "manager": "argocd-controller",
                    "fieldsV1": {"f:spec": {"f:scaling": {"f:mode": {}}}},
                }
            ],
        },
        "spec": {
            "objective": {"latency": {"percentile": 95, "threshold": "800ms"}},
            "replicas": {"min": 2, "max": 20},
            "workers": {"min": 1, "max": 8},
            "scaling": {"mode": "Auto"},
        },
        "status": {
            "replicas": 2,
            "readyReplicas": 2,
            "workers": 4,
            "load": {
                "latency": "912ms",
                "percentile": "p95",
                "requestsPerSecond": "118",
                "inFlight": "36",
                "utilization": "62%",
                "upstreamShare": "94%",
                "shedPerSecond": "0",
                "failing": "0%",
            },
            "need": {
                "workers": 6,
                "binding": "EventLoop",
                "demandPerSecond": "148",
                "serviceDemand": "27ms",
                "targetUtilization": "70%",
            },
            "decision": {
                "workers": 4,
                "replicas": 2,
                "reason": "Steady",
                "message": "6 workers needed: 148 rps expected in 3 s x 27 ms / 0.70",
                "binding": "EventLoop",
                "time": "2026-01-01T12:00:00Z",
            },
            "savings": {
                "percent": "38%",
                "costPerHour": "0.13",
                "baselinePerHour": "0.21",
                "currency": "USD",
                "baselineWorkers": 5,
                "baselineReplicas": 2,
            },
            "conditions": [
                condition("Ready", "True", "Serving", "2 of 2."),
                condition("DependencyBound", "True", "UpstreamSlow", "Look at the upstream."),
                condition("MetricsStale", "Unknown", "NoData", ""),
            ],
        },
    }
