"""Percentiles by sorting: exact, because a demo that estimates its own result proves nothing."""

import math
from collections.abc import Iterable


def percentile(values: Iterable[float], percent: float) -> float | None:
    """The nearest-rank percentile: the smallest value with ``percent`` % of all at or below it.

    None when there are no values: no data is not a latency of zero.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"percent must lie in (0, 100], not {percent}")
    ranked = sorted(values)
    if not ranked:
        return None
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]
