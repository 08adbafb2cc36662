"""Pods: the number that is cheapest for the next minutes, including the move."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.sizing.fleet_model import spec
from unit.sizing.requirements import size

from aiapi_operator.sizing import pods
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.pods import Market, expected, sure_slope


def market(workers: int, replicas: int, **changes: object) -> Market:
    usual = Market(
        running=size(workers, replicas),
        ready=replicas,
        lead=10.0,
        survivors=0.8 / 0.95,
        fewest=2,
        min_workers=1,
    )
    return replace(usual, **changes)


def after(seconds: int, *needs: float) -> list[float]:
    """A need every ten seconds; the last one repeats."""
    return [needs[min(step, len(needs) - 1)] for step in range(seconds // 10)]


EXAMPLE = market(3, 3, fewest=3, survivors=0.75)
ROOMY = market(1, 3, fewest=3, survivors=0.3)
WAVE = [7.2 if step % 6 < 3 else 9.5 for step in range(30)]
FALLING = [3.0 - 0.08 * step for step in range(30)]


@pytest.mark.parametrize(
    ("needs", "state", "changes", "chosen"),
    [
        pytest.param(after(60, 7.2), EXAMPLE, {}, 3, id="the worked example after a minute"),
        pytest.param(after(300, 7.2), EXAMPLE, {}, 4, id="the worked example after five"),
        # 5 x 2 costs 0.0226 USD per hour more than 8 x 1: in 220 s 4.97, and in 230 s 5.19. Three
        # more pods with 2 workers each cost 4.99 in 45 s.
        pytest.param(after(220, 7.2), market(2, 5), {}, 5, id="it does not pay yet"),
        pytest.param(after(230, 7.2), market(2, 5), {}, 8, id="it pays"),
        pytest.param(WAVE, market(2, 5), {}, 5, id="a need that varies moves nothing"),
        pytest.param(after(300, 2.0), market(1, 10), {}, 3, id="less is needed"),
        pytest.param(after(300, 2.0), market(1, 10, fewest=6), {}, 6, id="not below the fewest"),
        pytest.param(after(300, 7.2), market(2, 5, ready=4), {}, 5, id="a pod is starting"),
        pytest.param(after(300, 2.0), market(1, 10, ready=4), {}, 3, id="that stops no removal"),
        pytest.param(after(300, 7.2), market(2, 5, lead=60.0), {}, 5, id="pods start slowly"),
        pytest.param(after(300, 2.0), market(1, 10, lead=600.0), {}, 3, id="nor does that"),
        pytest.param(after(30, 2.0), market(1, 4), {}, 4, id="seen for 30 s: a pod is billed 35 s"),
        pytest.param(after(40, 2.0), market(1, 4), {}, 3, id="seen for 40 s"),
        pytest.param(
            after(30, 2.0),
            market(1, 4),
            {"replicas_down_after": 10.0},
            3,
            id="a short window removes pods sooner",
        ),
        pytest.param(after(300, 3.1), ROOMY, {}, 3, id="within the tolerance"),
        pytest.param(after(300, 3.2), ROOMY, {}, 4, id="above the tolerance"),
        pytest.param(
            after(300, 0.5),
            market(2, 6, min_workers=2),
            {},
            2,
            id="a schedule's workers are in every pod",
        ),
        pytest.param(
            after(300, 90.0),
            market(8, 12, fewest=12),
            {"replicas": Bounds(min=2, max=13)},
            13,
            id="not above replicas.max",
        ),
    ],
)
def test_the_number_of_pods(
    needs: list[float], state: Market, changes: dict[str, object], chosen: int
) -> None:
    assert pods.cheapest(spec(**changes), needs, state) == chosen


def test_needs_are_expected_to_repeat_along_their_trend() -> None:
    assert expected(after(100, 5.0)) == after(100, 5.0)
    rising = [0.1 * step for step in range(30)]
    assert expected(rising) == pytest.approx([0.1 * step for step in range(30, 60)])
    assert expected(FALLING) == pytest.approx([max(0.0, each - 2.4) for each in FALLING])


def test_a_step_is_no_trend() -> None:
    step = [1.0] * 15 + [5.0] * 15
    assert expected(step) == step
    turned = [*range(15), *reversed(range(15))]
    assert expected(turned) == turned


@pytest.mark.parametrize(
    ("values", "slope"),
    [
        ([1.0, 3.0, 5.0, 7.0], 2.0),
        ([7.0, 5.0, 3.0, 1.0], -2.0),
        ([1.0, 3.0, 5.0], 0.0),
        ([], 0.0),
        ([1.0, 1.2, 0.9, 1.1, 1.0], 0.0),
        # Slope 2, and its standard error is 0.26 (residuals of +-0.5).
        ([0.5, 1.5, 4.5, 5.5], 1.8 - 2 * 0.2828),
    ],
)
def test_a_slope_less_two_standard_errors(values: list[float], slope: float) -> None:
    assert sure_slope(values) == pytest.approx(slope, abs=1e-3)


@pytest.mark.property
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=30),
    st.integers(1, 8),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_pods_stay_within_the_bounds(
    needs: list[float], workers: int, replicas: int, fewest: int
) -> None:
    found = pods.cheapest(spec(), needs, market(workers, replicas, fewest=fewest))
    assert found == replicas or fewest <= found <= 20


@pytest.mark.property
@given(st.floats(0.5, 60), st.integers(1, 8), st.integers(2, 20))
def test_a_move_is_never_taken_back_at_a_steady_need(
    need: float, workers: int, replicas: int
) -> None:
    needs, chosen = after(300, need), [replicas]
    for _ in range(4):
        each = max(1, -(-need // chosen[-1]), -(-need * 0.842 // max(1, chosen[-1] - 1)))
        running = market(min(8, int(each)), chosen[-1])
        chosen.append(pods.cheapest(spec(), needs, running))
    turns = [after - before for before, after in pairwise(chosen)]
    assert not any(first * second < 0 for first, second in pairwise(turns)), chosen
