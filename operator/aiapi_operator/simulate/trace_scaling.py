"""Scales a trace to a given number of requests per second in its busiest minute.

Down: each request is kept with the same probability, which keeps the shape of the noise.
Up: each request is copied, and every copy moves by up to half a minute either way. Copies at the
same moment would multiply the noise from second to second along with the mean: 100 +- 10 requests
a second copied 10 times are 1,000 +- 100, where independent clients make 1,000 +- 32.
"""

from dataclasses import replace

import numpy as np

from aiapi_operator.simulate.traces import Floats, Trace, TraceError, minutes

JITTER = 30.0
"""Seconds either way: within one minute."""
_BLOCK = 3600
_MAX_COPIES = 10_000_000
"""Requests that are moved in one step: 240 MB."""


def scale_to_peak(trace: Trace, peak: float, *, seed: int) -> Trace:
    """The trace with about ``peak`` requests per second in its busiest minute."""
    rng = np.random.default_rng([seed, 101])
    factor = peak / trace.peak_minute
    if factor <= 1:
        return _thin(trace, factor, rng)
    factor = peak / float(minutes(_smooth(trace.counts)).max())
    counts = _superpose(trace, factor, rng)
    return replace(trace, counts=counts, timestamps=None)


def _thin(trace: Trace, factor: float, rng: np.random.Generator) -> Trace:
    if trace.timestamps is not None:
        timestamps = trace.timestamps[rng.random(len(trace.timestamps)) < factor]
        seconds = timestamps.astype(np.int64)
        counts = np.bincount(seconds, minlength=trace.seconds).astype(np.float64)
    else:
        timestamps = None
        counts = rng.binomial(_whole(trace.counts, rng), factor).astype(np.float64)
    if counts.sum() == 0:
        raise TraceError(f"{trace.name}: no requests are left at this scale")
    return replace(trace, counts=counts, timestamps=timestamps)


def _whole(counts: Floats, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Whole numbers with the same mean: 2.25 is 3 one time in four."""
    return np.floor(counts + rng.random(len(counts))).astype(np.int64)


def _smooth(counts: Floats) -> Floats:
    """The mean counts after jitter."""
    width = int(2 * JITTER)
    padded = np.concatenate((counts[:width][::-1], counts, counts[-width:][::-1]))
    smooth = np.convolve(padded, np.full(width, 1 / width), mode="same")
    inner: Floats = smooth[min(width, len(counts)) :][: len(counts)]
    return inner


def _superpose(trace: Trace, factor: float, rng: np.random.Generator) -> Floats:
    counts = _whole(trace.counts, rng)
    seconds = trace.seconds
    result = np.zeros(seconds)
    length = max(1, min(_BLOCK, int(_MAX_COPIES / max(1.0, factor * float(counts.max())))))
    for begin in range(0, seconds, length):
        block = counts[begin : begin + length]
        copies = block * int(factor) + rng.binomial(block, factor - int(factor))
        at = np.repeat(np.arange(begin, begin + len(block), dtype=np.float64), copies)
        at += rng.random(len(at)) + rng.uniform(-JITTER, JITTER, len(at))
        # Reflect at both ends of the trace.
        at = np.abs(at)
        at = np.where(at >= seconds, 2 * seconds - at, at)
        inside = np.clip(at.astype(np.int64), 0, seconds - 1)
        result += np.bincount(inside, minlength=seconds)
    return result
