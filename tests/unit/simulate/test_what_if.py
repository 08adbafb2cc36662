"""What-if rows by objective and policy, and service models from measurements."""

import numpy as np
import pytest

from aiapi_operator.api import AIApiSpec
from aiapi_operator.api.status import AIApiStatus
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.policies.aiapi import AIApiPolicy
from aiapi_operator.simulate.prometheus import PrometheusError, Rates, as_trace
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.scenario import ServiceModel
from aiapi_operator.simulate.what_if import service_from_status, what_if
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.learners.daily_profile import DailyProfile
from aiapi_operator.sizing.spec import sizing_spec


def rates(*values: float, step: float = 15.0) -> Rates:
    return Rates(name="q", start=1e9, step=step, values=np.array(values))


def test_each_objective_is_simulated_with_each_policy(make_load) -> None:
    trace = make_load((120, 400), (120, 40)).trace
    loose, tight = (
        LatencyObjective(percentile=95, threshold=threshold) for threshold in (1.5, 0.6)
    )
    reported: list[tuple[float, str]] = []
    rows = what_if(
        trace,
        AIApiSpec.model_validate({"cost": {"cpuHour": "1", "memoryGiBHour": "0"}}),
        [loose, tight],
        service=ServiceModel(),
        on_result=lambda objective, result: reported.append((objective.threshold, result.policy)),
    )
    assert reported == [(1.5, "aiapi"), (1.5, "static"), (0.6, "aiapi"), (0.6, "static")]
    assert [(row.objective.threshold, row.result.policy) for row in rows] == reported
    for row in rows:
        assert row.cost == pytest.approx(row.result.core_hours)
        assert row.result.requests == trace.requests
    assert rows[1].saving == 0
    assert rows[0].saving == pytest.approx(1 - rows[0].cost / rows[1].cost)
    assert rows[3].cost > rows[1].cost


def test_without_static_there_is_no_saving(make_load) -> None:
    row = what_if(
        make_load((60, 20)).trace,
        AIApiSpec(),
        [LatencyObjective(percentile=95, threshold=0.8)],
        service=ServiceModel(),
        policies=["aiapi"],
    )[0]
    assert row.saving is None


def test_a_service_model_is_built_from_the_status() -> None:
    status = {"need": {"serviceDemand": "12ms"}, "load": {"latency": "512ms", "percentile": "p95"}}
    service = service_from_status(AIApiStatus.model_validate(status))
    assert service is not None
    assert service.demand == pytest.approx(0.012)
    drawn = service.draw_upstream(np.random.default_rng(1), 100_000)
    assert np.percentile(drawn, 95) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("status", [{}, {"need": {"serviceDemand": "12ms"}}])
def test_without_measurements_there_is_no_service_model(status: dict[str, object]) -> None:
    assert service_from_status(AIApiStatus.model_validate(status)) is None


def test_a_measured_upstream_keeps_its_distribution() -> None:
    service = ServiceModel.model_validate({"upstream": {"quantiles": ["1s", "2s", "4s"]}})
    drawn = service.draw_upstream(np.random.default_rng(1), 100_000)
    assert np.quantile(drawn, [0, 0.5, 1]) == pytest.approx([1, 2, 4], rel=0.01)
    assert service.upstream_mean == pytest.approx(drawn.mean(), rel=0.01)
    for wrong in (["1s"], ["2s", "1s"]):
        with pytest.raises(ValueError, match="two or more values in ascending order"):
            ServiceModel.model_validate({"upstream": {"quantiles": wrong}})


def test_rates_become_poisson_distributed_requests() -> None:
    trace = as_trace(rates(*[100.0] * 200))
    assert trace.seconds == 3000
    assert trace.counts.mean() == pytest.approx(100, rel=0.02)
    assert trace.counts.var() == pytest.approx(100, rel=0.1)


def test_a_gap_is_interpolated_and_missing_ends_are_left_out() -> None:
    nan = float("nan")
    trace = as_trace(rates(nan, 1000, nan, nan, 4000, 4000, 4000, nan))
    each = trace.counts.reshape(-1, 15).mean(axis=1)
    assert each == pytest.approx([1000, 2000, 3000, 4000, 4000, 4000], rel=0.05)
    assert [note.split(",")[0] for note in trace.notes] == [
        "samples cover 0.03 h of 0.03 h",
        "1 gap without samples",
    ]


def test_rates_of_zero_are_rejected() -> None:
    with pytest.raises(PrometheusError, match="always zero"):
        as_trace(rates(0, 0, 0))


def test_a_trace_from_prometheus_has_its_time_of_day() -> None:
    """Each value applies to the step that ends at it; the first value is missing."""
    values = np.array([np.nan, *[5.0] * 20])
    found = as_trace(Rates(name="q", start=1785.0, step=15.0, values=values))
    assert found.start_time == 1785.0
    load = Workload(trace=found, service=ServiceModel(), seed=1)
    policy = catalogue.build("aiapi", GroundTruth(load, sizing_spec(AIApiSpec())), pod_workers=2)
    assert isinstance(policy, AIApiPolicy)
    Simulation(load, policy.spec, policy).run()
    # From 00:29:45 to 00:34:45: the seventh five-minute slot of the day.
    assert policy.state.memory[DailyProfile].slot % 288 == 6
