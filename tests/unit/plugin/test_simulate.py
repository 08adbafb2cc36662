"""``simulate NAME``: its own traffic, with its own and other objectives."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from aiapi_operator.metrics.operator_metrics import OperatorMetrics
from aiapi_operator.plugin import simulate
from aiapi_operator.simulate.prometheus import PrometheusError, Rates


class Prometheus:
    """A Prometheus with a few minutes of samples."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.error: Exception | None = None

    def __call__(self, _url: str, query: str, seconds: float, **_: Any) -> Rates:
        self.queries.append(query)
        if self.error:
            raise self.error
        values = np.full(int(seconds // 15), 40.0)
        return Rates(name=query, start=1.7e9, step=15.0, values=values)


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch, aiapi: dict[str, Any]) -> Prometheus:
    found = Prometheus()
    monkeypatch.setattr(simulate.prometheus, "fetch_rates", found)
    monkeypatch.setattr(simulate, "with_reader", lambda *_: aiapi)
    return found


def words(*more: str) -> tuple[str, ...]:
    return ("simulate", "assistant", "--prometheus", "http://prometheus", "--last", "2m", *more)


@pytest.mark.slow
def test_the_objective_and_another_are_simulated(
    run: Callable[..., Result], prometheus: Prometheus
) -> None:
    result = run(*words("--objective", "p95=2s", "-o", "json"))
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["assumedService"] is False
    assert [
        (row["thresholdSeconds"], row["policy"], row["minReplicas"]) for row in document["rows"]
    ] == [
        (0.8, "aiapi", 2),
        (0.8, "aiapi", 0),
        (0.8, "static", 2),
        (2.0, "aiapi", 2),
        (2.0, "static", 2),
    ]
    assert [row["coldStarts"] for row in document["rows"]] == [None, 0, None, None, None]
    assert all(row["cost"] > 0 and row["requests"] > 1000 for row in document["rows"])
    text = run(*words("--objective", "p95=2s")).stdout
    assert "27ms of loop time per request" in text
    assert "p95 <= 800ms  right-sized, min 2" in text
    assert "p95 <= 800ms  right-sized, min 0" in text
    assert "COLD STARTS" in text
    assert "COST USD" in text


def test_the_query_uses_a_metric_of_the_operator(
    run: Callable[..., Result], prometheus: Prometheus
) -> None:
    run(*words("--objective", "p95=800ms"))
    (query,) = prometheus.queries
    assert query == 'max(aiapi_operator_arrivals_per_second{namespace="shop",name="assistant"})'
    assert b"# TYPE aiapi_operator_arrivals_per_second gauge" in OperatorMetrics().text()
    run(*words("--query", "sum(rate(http_requests_total[1m]))", "--objective", "p95=800ms"))
    assert prometheus.queries[-1] == "sum(rate(http_requests_total[1m]))"


def test_a_prometheus_without_samples_is_an_error(
    run: Callable[..., Result], prometheus: Prometheus
) -> None:
    prometheus.error = PrometheusError("no samples")
    result = run(*words())
    assert (result.exit_code, "no samples" in result.output) == (2, True)


def test_an_unmeasured_service_uses_the_default_model_and_says_so(
    run: Callable[..., Result], prometheus: Prometheus, aiapi: dict[str, Any]
) -> None:
    del aiapi["status"]["need"]["serviceDemand"]
    assert "(defaults: not measured yet)" in run(*words("--objective", "p95=800ms")).stdout
