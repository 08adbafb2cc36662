"""Loads of typical shapes, and how long a run keeps more workers than such a load explains.

The tests draw from these ranges with hypothesis, the benchmark (benchmarks/sizing_generated.py)
with a seeded generator.
"""

from collections.abc import Callable

import numpy as np

from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.sizing.state import Size

PERIOD = (120.0, 7200.0)
PEAK = (6, 200)
SMALL_PEAK = (2, 6)
POD_START = (5.0, 120.0)
DEMAND = (0.002, 0.2)
LOW = (0.05, 0.5)
"""Lowest rate over the highest."""
EXCESS = 1.5
"""Times the need that a fleet may have, beside the workers of one pod."""
FIRST = 120
"""Seconds at the start that do not count."""
BLOCK = 30
"""Seconds for which the oracle plans. Jumps lie between two blocks: it has one fleet in each."""

Shape = Callable[[Floats, float, float, np.random.Generator], Floats]


def blocks(seconds: float) -> int:
    """The nearest whole number of blocks, at least one, in seconds."""
    return BLOCK * max(1, round(seconds / BLOCK))


def _ramp(t: Floats, _: float, low: float, rng: np.random.Generator) -> Floats:
    return low + (1 - low) * np.minimum(t / (len(t) * rng.uniform(0.3, 1)), 1)


def _step(t: Floats, _: float, low: float, rng: np.random.Generator) -> Floats:
    begin = blocks(len(t) * rng.uniform(0.2, 0.5))
    return np.where((t >= begin) & (t < begin + blocks(len(t) * rng.uniform(0.1, 0.4))), 1.0, low)


def _on_off(t: Floats, period: float, low: float, rng: np.random.Generator) -> Floats:
    return np.where(t % period < blocks(period * rng.uniform(0.2, 0.8)), 1.0, low)


def _spikes(t: Floats, _: float, low: float, rng: np.random.Generator) -> Floats:
    rate = np.full(len(t), low)
    for _spike in range(int(rng.integers(3, 10))):
        begin, length = blocks(rng.uniform(0, len(t))), blocks(rng.uniform(20, 180))
        rate[begin : begin + length] = rng.uniform(0.5, 1)
    return rate


def _random_walk(t: Floats, _: float, low: float, rng: np.random.Generator) -> Floats:
    walk = np.cumsum(rng.normal(0, rng.uniform(0.002, 0.02), len(t)))
    return np.maximum(np.exp(walk - walk.max()), low)


SHAPES: dict[str, Shape] = {
    "sawtooth": lambda t, period, low, _: low + (1 - low) * (t % period) / period,
    "reverse sawtooth": lambda t, period, low, _: 1 - (1 - low) * (t % period) / period,
    "sine": lambda t, period, low, _: low + (1 - low) * (1 - np.cos(2 * np.pi * t / period)) / 2,
    "ramp": _ramp,
    "step": _step,
    "on/off": _on_off,
    "spikes": _spikes,
    "random walk": _random_walk,
    "steady": lambda t, _period, _low, _rng: np.ones(len(t)),
}
"""Relative rates by second: (seconds, period, lowest rate, random numbers) -> 0..1."""


def longest_excess(result: RunResult, truth: GroundTruth, initial: Size) -> int:
    """The longest time with more workers than 1.5 x the need plus those of one pod, in seconds.

    Needed are 7 workers; 3 pods x 8 = 24 are more than 10.5 + 8, 3 x 6 = 18 are not. The first two
    minutes do not count: the fleet at the start is given.
    """
    counts = truth.load.trace.counts
    starts = range(0, len(counts), BLOCK)
    needs = [truth.need_for_counts(counts[start : start + BLOCK]).total for start in starts]
    need = np.maximum(np.repeat(needs, BLOCK)[: len(counts)], truth.spec.replicas.min)
    total = np.full(len(counts), float(initial.total))
    one_pod = np.full(len(counts), float(initial.workers))
    for change in result.changes:
        total[int(change.at) :] = change.after.total
        one_pod[int(change.at) :] = change.after.workers
    return longest_run((total > EXCESS * need + one_pod)[FIRST:])


def longest_run(over: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """The most consecutive seconds that are marked."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], over.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
