"""Event loops: expected loop time, or the loop time in use, over the planned utilization."""

import pytest
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.learners.demand import Demand
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.needs.loop import certain_loop, need

KNOWN = (
    Demand(level=400.0),  # 412 with 3 % headroom
    ServiceDemand(seconds=0.0091, requests=5000),
    UtilizationTarget(utilization=0.61),
)


@pytest.mark.parametrize(
    ("known", "loop", "workers", "survivors", "reason"),
    [
        pytest.param(
            KNOWN,
            3.0,
            6.15,
            3.83,
            "412 rps expected in 3 s x 9.1 ms / 0.61",
            id="the worked example",
        ),
        pytest.param(
            (*KNOWN, Demand(level=400.0, slope=10.0)),
            3.0,
            6.61,
            4.12,
            "443 rps expected in 3 s x 9.1 ms / 0.61",
            id="a rise until new workers serve",
        ),
        pytest.param(
            KNOWN,
            8.0,
            12.6,
            8.09,
            "event loops use 7.7 s per second / 0.61",
            id="loops use more than expected",
        ),
        pytest.param(
            KNOWN[:1] + KNOWN[2:],
            3.0,
            4.92,
            3.16,
            "event loops use 3 s per second / 0.61",
            id="the service demand is unknown",
        ),
        pytest.param(
            KNOWN[:2],
            3.0,
            6.25,
            3.83,
            "412 rps expected in 3 s x 9.1 ms / 0.60",
            id="the target is unknown",
        ),
        pytest.param(
            (),
            0.0,
            0.0,
            0.0,
            "event loops use 0 s per second / 0.60",
            id="nothing is known and nothing runs",
        ),
    ],
)
def test_the_need_for_loop_time(
    known: tuple[object, ...], loop: float, workers: float, survivors: float, reason: str
) -> None:
    found = need(facts(row(loop=loop, arrivals=400.0), known=known), 3.0)
    assert found.binding is Binding.LOOP
    assert found.workers == pytest.approx(workers, abs=0.02)
    assert found.survivors == pytest.approx(survivors, abs=0.02)
    assert found.reason == reason


def test_the_expected_arrivals_are_reported() -> None:
    assert need(facts(row(), known=KNOWN), 3.0).demand == pytest.approx(412.0)


def test_survivors_never_exceed_the_need() -> None:
    busy = (Demand(level=400.0), KNOWN[1], UtilizationTarget(utilization=0.99))
    found = need(facts(row(), known=busy), 3.0)
    assert found.survivors == found.workers


def test_headroom_does_not_count_for_the_loss_of_a_pod() -> None:
    found = need(facts(row(loop=0.0), known=KNOWN), 3.0)
    assert found.survivors == pytest.approx(400 * 0.0091 / 0.95)


def test_loop_time_in_use_counts_without_what_chance_adds() -> None:
    used = facts(row(arrivals=320.0, loop=6.4))
    assert certain_loop(used, 0.02) == pytest.approx(5.99, abs=0.01)
    assert certain_loop(used, 0.0) == pytest.approx(6.4)
    assert certain_loop(facts(row(loop=0.001)), 0.02) == 0.0


def test_an_absurd_measurement_is_bounded() -> None:
    found = need(facts(row(loop=1e12)), 3.0)
    assert found.workers == found.survivors == 1e6
