"""The queueing model: delays at a loop as modeled and as measured."""

from math import log

import pytest

from aiapi_operator.sizing import capacity
from aiapi_operator.sizing.inputs import LatencyObjective

OBJECTIVE = LatencyObjective(percentile=95, threshold=0.8)


def test_the_tail_is_the_percentile_of_an_exponential_time() -> None:
    assert capacity.tail(0.009, OBJECTIVE) == pytest.approx(0.009 * log(20))
    median = LatencyObjective(percentile=50, threshold=0.8)
    assert capacity.tail(0.009, median) == pytest.approx(0.009 * log(2))


@pytest.mark.parametrize(("rho", "delay"), [(0.0, 0.0), (0.5, 1.0), (0.65, 1.857), (0.99, 99.0)])
def test_the_delay_grows_with_utilization(rho: float, delay: float) -> None:
    k = capacity.tail(0.009, OBJECTIVE)
    assert capacity.queueing_delay(0.009, OBJECTIVE, rho) == pytest.approx(k * delay, rel=1e-3)


def test_a_full_loop_has_a_finite_delay() -> None:
    full = capacity.queueing_delay(0.009, OBJECTIVE, 1.0)
    assert full == capacity.queueing_delay(0.009, OBJECTIVE, 0.99)


MEASURED = {"arrivals": 100.0, "in_flight": 34.0, "upstream": 30.0}


@pytest.mark.parametrize(
    ("changes", "delay"),
    [
        pytest.param({}, 0.09, id="the worked example"),
        pytest.param({"in_flight": 94.0, "upstream": 90.0}, 0.09, id="a slower upstream"),
        pytest.param({"upstream": 0.0}, 0.99, id="upstream time is not measured"),
        pytest.param({"in_flight": 30.5}, 0.0, id="requests do not even queue"),
        pytest.param({"arrivals": 0.0}, 0.0, id="nothing arrives"),
    ],
)
def test_queueing_for_loops_is_separated_from_upstream_time(
    changes: dict[str, float], delay: float
) -> None:
    found = capacity.measured_queueing_delay(0.01, OBJECTIVE, **(MEASURED | changes))
    assert found == pytest.approx(delay, rel=0.01)
