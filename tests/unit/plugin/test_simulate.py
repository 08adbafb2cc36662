"""``simulate NAME``: its own traffic, its own and other objectives, one row each."""

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
    """What a Prometheus has of the last minutes."""

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


def test_what_the_objective_costs_and_what_another_would(
    run: Callable[..., Result], prometheus: Prometheus
) -> None:
    result = run(*words("--objective", "p95=2s", "-o", "json"))
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["assumedService"] is False
    assert [(row["thresholdSeconds"], row["policy"]) for row in told["rows"]] == [
        (0.8, "aiapi"),
        (0.8, "static"),
        (2.0, "aiapi"),
        (2.0, "static"),
    ]
    assert all(row["cost"] > 0 and row["requests"] > 1000 for row in told["rows"])
    text = run(*words("--objective", "p95=2s")).stdout
    assert "27ms of loop time a request" in text
    assert "p95 <= 800ms  right-sized" in text
    assert "COST USD" in text


def test_the_question_is_one_that_the_operators_metrics_answer(
    run: Callable[..., Result], prometheus: Prometheus
) -> None:
    run(*words("--objective", "p95=800ms"))
    (query,) = prometheus.queries
    assert query == 'max(aiapi_operator_arrivals_per_second{namespace="shop",name="assistant"})'
    assert b"# TYPE aiapi_operator_arrivals_per_second gauge" in OperatorMetrics().text()
    run(*words("--query", "sum(rate(http_requests_total[1m]))", "--objective", "p95=800ms"))
    assert prometheus.queries[-1] == "sum(rate(http_requests_total[1m]))"


def test_a_prometheus_that_has_nothing_is_told(
    run: Callable[..., Result], prometheus: Prometheus
) -> None:
    prometheus.error = PrometheusError("no samples")
    result = run(*words())
    assert (result.exit_code, "no samples" in result.output) == (2, True)


def test_a_service_that_was_never_measured_is_assumed_and_that_is_told(
    run: Callable[..., Result], prometheus: Prometheus, aiapi: dict[str, Any]
) -> None:
    del aiapi["status"]["need"]["serviceDemand"]
    assert "assumed: nothing was measured yet" in run(*words("--objective", "p95=800ms")).stdout
