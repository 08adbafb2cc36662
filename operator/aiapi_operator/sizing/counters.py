"""Checks numbers of pods. They run user code, so any number may be wrong."""

from collections.abc import Sequence

MAX_COUNTER = 1e15
"""Seconds or requests of a valid counter. No real pod exceeds this: 30 million years, or a million
rps for 30 years."""

MOST = 1e6
"""Workers or pods. More are an error of a measurement. No fleet has as many."""


def is_sane(values: Sequence[float]) -> bool:
    """Whether all values can be counters of a real pod: not negative, huge or NaN."""
    if not values:
        return True
    try:
        total = sum(values)
    except OverflowError:
        return False
    # A pass in C is fast. NaN can escape min and max, but not the sum.
    return min(values) >= 0 and (
        total <= MAX_COUNTER or (total >= 0 and max(values) <= MAX_COUNTER)
    )
