"""The histograms of one tick: what the pods counted since the last one, added up.

Only the kinds that objectives need are read, because adding them takes most of the time of a tick
in large fleets.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter, is_, lt

from aiapi_operator.sizing import histogram, windows
from aiapi_operator.sizing.counters import is_sane
from aiapi_operator.sizing.inputs import Histogram, ObjectiveKind, PodSample
from aiapi_operator.sizing.state import Latencies, MergedHistogram, State

_HISTOGRAMS: Mapping[ObjectiveKind, Callable[[PodSample], Histogram]] = {
    ObjectiveKind.LATENCY: attrgetter("latency"),
    ObjectiveKind.FIRST_BYTE: attrgetter("first_byte"),
}
_UNMERGED = MergedHistogram()


def read(
    pods: Sequence[PodSample],
    before: Sequence[PodSample | None],
    state: State,
    kinds: Sequence[ObjectiveKind],
) -> tuple[dict[ObjectiveKind, Latencies], dict[ObjectiveKind, MergedHistogram]]:
    """By kind: bounds and counts, and the sums to subtract from the next ones.

    ``before`` has the last sample of each pod; None for a new one.
    """
    found = {kind: _read(pods, before, state, kind) for kind in kinds}
    return (
        {kind: latencies for kind, (latencies, _) in found.items()},
        {kind: merged for kind, (_, merged) in found.items()},
    )


def _read(
    pods: Sequence[PodSample],
    lasts: Sequence[PodSample | None],
    state: State,
    kind: ObjectiveKind,
) -> tuple[Latencies, MergedHistogram]:
    """Latencies of this tick, over the pods with the same bounds.

    During a rollout that changes the bounds, the old bounds are used while any pod has them:
    histograms with different bounds cannot be added.
    """
    of = _HISTOGRAMS[kind]
    bounds = windows.histogram_of(state.ticks[-1], kind)[0] if state.ticks else ()
    if not any(histogram.same_bounds(of(sample).bounds, bounds) for sample in pods):
        bounds = of(pods[0]).bounds
    size = len(bounds) + 1
    now, past = [], []
    for sample, last in zip(pods, lasts, strict=True):
        after = of(sample)
        before = after if last is None else of(last)
        if not (after.bounds is before.bounds is bounds or after.bounds == before.bounds == bounds):
            continue
        if len(after.counts) == size:
            now.append(after.counts)
        if last is not None and len(before.counts) == size:
            past.append(before.counts)
    if not now or not _ascending(bounds):
        return (bounds, ()), MergedHistogram()
    merged = MergedHistogram(parts=tuple(now), counts=histogram.merge(now))
    known = state.merged.get(kind, _UNMERGED)
    counts = histogram.difference(merged.counts, _merge(past, known) or (0,) * size)
    if counts is None or not is_sane(counts):
        counts = ()
    return (bounds, histogram.compact(counts)), merged


def _merge(parts: Sequence[histogram.Counts], known: MergedHistogram) -> histogram.Counts:
    """Adds histograms, or reuses the last tick's sum: adding takes most of the time in large
    fleets."""
    if len(parts) == len(known.parts) and all(map(is_, parts, known.parts)):
        return known.counts
    return histogram.merge(parts)


@lru_cache(maxsize=8)
def _ascending(bounds: tuple[float, ...]) -> bool:
    return bool(bounds) and is_sane(bounds) and all(map(lt, bounds, bounds[1:]))
