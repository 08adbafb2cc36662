"""The maximum of a sliding window."""

from hypothesis import given
from hypothesis import strategies as st

from aiapi_operator.sizing import peaks
from aiapi_operator.sizing.state import PeakWindow


def stairs() -> PeakWindow:
    found: PeakWindow = ()
    for at, value in ((0.0, 5.0), (2.0, 3.0), (4.0, 4.0)):
        found = peaks.push(found, time=at, value=value, window=30.0)
    return found


def test_the_worked_example() -> None:
    assert [value for _, value in stairs()] == [5.0, 4.0]
    assert peaks.peak(stairs()) == 5.0
    assert peaks.peak(()) is None


def test_a_value_is_kept_until_it_is_older_than_the_window() -> None:
    assert peaks.peak(peaks.expire(stairs(), time=30.0, window=30.0)) == 5.0
    assert peaks.peak(peaks.expire(stairs(), time=32.0, window=30.0)) == 4.0
    assert peaks.peak(peaks.push(stairs(), time=30.0, value=1.0, window=30.0)) == 5.0
    assert peaks.peak(peaks.push(stairs(), time=32.0, value=1.0, window=30.0)) == 4.0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=80), st.floats(0, 60))
def test_it_is_the_maximum_of_the_values_in_the_window(values: list[float], window: float) -> None:
    found: PeakWindow = ()
    for step, value in enumerate(values):
        found = peaks.push(found, time=2.0 * step, value=value, window=window)
        first = next(i for i in range(step + 1) if 2.0 * i >= 2.0 * step - window)
        assert peaks.peak(found) == max(values[first : step + 1])
