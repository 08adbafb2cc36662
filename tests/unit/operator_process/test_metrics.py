"""The operator's metrics: what has no data is absent, and what is gone is gone."""

from engine_support.samples import sample

from aiapi_operator.api import AIApiSpec
from aiapi_operator.engine.ports import Seen
from aiapi_operator.metrics import Metrics
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.inputs import Fleet
from aiapi_operator.sizing.spec import sizing_spec
from aiapi_operator.sizing.state import State

KEY = ("shop", "a")


def told(metrics: Metrics) -> str:
    return metrics.text().decode()


def one_decision() -> Metrics:
    metrics = Metrics()
    spec = sizing_spec(AIApiSpec())
    fleet = Fleet(replicas=2, pods=(sample("a-1", time=5.0), sample("a-2", time=5.0)))
    decision = decide(spec, fleet, State(), 5.0)
    seen = Seen(replicas=2, ready=2, workers=2, silent=1, savings=None)
    metrics.decided(KEY, spec, seen, decision)
    metrics.ticked(KEY, seconds=0.1, lag=0.0, outcome="ok")
    return metrics


def test_a_decision_in_numbers() -> None:
    text = told(one_decision())
    labels = 'name="a",namespace="shop"'
    assert f"aiapi_operator_objective_seconds{{{labels}}} 0.8" in text
    assert f'aiapi_operator_size{{axis="replicas",kind="wanted",{labels}}} 2.0' in text
    assert f"aiapi_operator_scrape_failures_total{{{labels}}} 1.0" in text
    assert f'aiapi_operator_ticks_total{{{labels},outcome="ok"}} 1.0' in text


def test_what_is_not_known_is_not_zero() -> None:
    assert "aiapi_operator_latency_seconds{" not in told(one_decision())


def test_the_series_of_a_deleted_aiapi_go() -> None:
    metrics = one_decision()
    metrics.forget(KEY)
    assert 'namespace="shop"' not in told(metrics)
