"""Exact percentiles, by sorting."""

import math
from collections.abc import Iterable


def percentile(values: Iterable[float], percent: float) -> float | None:
    """The nearest-rank percentile: the smallest value with ``percent`` % of all at or below it.

    None if there are no values.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"percent must be in (0, 100], not {percent}")
    ranked = sorted(values)
    if not ranked:
        return None
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]
