"""Histograms: merged by adding counts, read by interpolation."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.sizing.fleet_model import BOUNDS, FleetModel, spec

from aiapi_operator.sizing import histogram


def test_percentiles_are_interpolated_inside_a_bucket() -> None:
    read = histogram.percentile((0.1, 0.2), (0, 100, 0), 50)
    assert read == histogram.Percentile(pytest.approx(0.15))


def test_a_percentile_above_the_last_bound_is_a_lower_limit() -> None:
    above = histogram.percentile((0.1, 0.2), (1, 1, 98), 95)
    assert above == histogram.Percentile(0.2, at_least=True)


def test_empty_histograms_have_no_percentile() -> None:
    assert histogram.percentile((0.1,), (0, 0), 95) is None
    assert histogram.percentile((), (), 95) is None


def test_the_worked_example_of_merging() -> None:
    """1,000 requests at 10 ms and 10 at 5 s: the p95 of both is 10 ms."""
    fast, slow = (1000, 0, 0), (0, 10, 0)
    read = histogram.percentile((0.01, 5.0), histogram.merge([fast, slow]), 95)
    assert read is not None
    assert read.seconds <= 0.01


@pytest.mark.parametrize("many", [1, 2, 3, 4, 100])
def test_any_number_of_histograms_can_be_added(many: int) -> None:
    assert histogram.merge([(1, 0, 5)] * many) == (many, 0, 5 * many)


def test_a_decreased_bucket_has_no_difference() -> None:
    assert histogram.difference((5, 3), (2, 3)) == (3, 0)
    assert histogram.difference((5, 2), (2, 3)) is None


@pytest.mark.parametrize("most", [0, 1, 300, 70_000, 2**32 - 1, 2**32, 10**15])
def test_compact_counts_are_the_same_counts(most: int) -> None:
    counts = (0, most, 3)
    found = histogram.compact(counts)
    assert list(found) == list(counts)
    assert histogram.difference(found, (0, 0, 1)) == (0, most, 2)
    assert histogram.merge([found, counts]) == (0, 2 * most, 6)


def test_73_compact_counts_take_less_than_400_bytes() -> None:
    assert sys.getsizeof(histogram.compact((1_000,) * 73)) < 400


def test_only_equal_bounds_can_be_added() -> None:
    assert histogram.same_bounds((0.1, 0.2), (0.1, 0.2))
    assert not histogram.same_bounds((0.1, 0.2), (0.1,))


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4), st.floats(0, 100), st.floats(0, 100))
def test_a_percentile_lies_within_the_bounds_and_rises(
    counts: list[int], one: float, two: float
) -> None:
    low, high = (
        histogram.percentile((0.1, 0.2, 0.4), tuple(counts), percent)
        for percent in sorted((one, two))
    )
    if low is None or high is None:
        assert sum(counts) == 0
        return
    assert 0 <= low.seconds <= high.seconds <= 0.4


def test_the_p95_of_the_model_is_read_within_ten_percent() -> None:
    model = FleetModel(spec())
    model.run(60)
    assert len(BOUNDS) == 117
    # 96 % of the requests take up to 1.5 x 0.3 s of upstream, and 20 ms of loop.
    assert model.last.load.latency == pytest.approx(0.47, rel=0.1)
