"""Percentiles are exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_demo.latency import percentile


def test_nearest_rank() -> None:
    values = [15, 20, 35, 40, 50]
    assert [percentile(values, p) for p in (5, 30, 40, 50, 100)] == [15, 20, 20, 35, 50]


def test_p95_of_a_hundred_is_the_95th_smallest() -> None:
    assert percentile(range(100, 0, -1), 95) == 95


def test_without_values_there_is_no_percentile() -> None:
    assert percentile([], 95) is None


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_percentile_outside_its_range_is_rejected(percent: float) -> None:
    with pytest.raises(ValueError, match="percent must be in"):
        percentile([1], percent)


@given(st.lists(st.floats(0, 60), min_size=1), st.floats(0.1, 100))
def test_at_least_that_share_is_at_or_below(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9
