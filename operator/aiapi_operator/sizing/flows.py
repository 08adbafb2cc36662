"""What pods counted between two of their samples, number by number.

A large fleet is summed in C: each number is one column with an entry per pod. Example, two pods:
100 and 200 requests before, 150 and 260 now. The column is (50, 60).

A new instance counts from zero. Its counters began when its workers did.
"""

from collections.abc import Sequence
from itertools import compress
from math import inf
from operator import attrgetter, is_, sub
from types import SimpleNamespace
from typing import NamedTuple

from aiapi_operator.sizing.fleet_samples import FleetSamples
from aiapi_operator.sizing.inputs import PodSample
from aiapi_operator.sizing.state import SLOW_WINDOW, Column, State

MAX_NEW_INSTANCE_AGE = 10.0
"""Seconds since the start up to which an instance is new. Its counters then began within the
windows."""
MIN_SECONDS = 0.1
"""Seconds between two samples for a rate. A twentieth of the default interval."""

_NAMES = (
    # Counters of seconds,
    "in_flight_seconds",
    "loop_seconds",
    "worker_seconds",
    "upstream_seconds",
    "cpu_seconds",
    "cpu_throttled_seconds",
    "waited_seconds",
    "least_loop_seconds",
    # then of requests,
    "succeeded",
    "client_errors",
    "server_errors",
    "cancelled",
    "shed",
    # then gauges.
    "in_flight",
    "accept_queue_depth",
    "workers_wanted",
    "workers_ready",
    "workers_draining",
    "workers_blocked",
    "open_connections",
    "rss_bytes",
    "memory_limit_bytes",
    "worker_limit",
)
NUMBERS = attrgetter(*_NAMES)
_COLUMNS = tuple(map(attrgetter, _NAMES))
_COUNTERS = 13
_DIFFERENCES = _COUNTERS + 2
"""Numbers whose difference is used: the counters, and requests in flight and queued."""
_START = SimpleNamespace(**dict.fromkeys(_NAMES, 0))
"""The numbers of an instance when it started."""


def columns_of(samples: Sequence[PodSample | SimpleNamespace]) -> list[Column]:
    """The numbers of the samples, in the order of their names above."""
    return [list(map(number, samples)) for number in _COLUMNS]


class Flows(NamedTuple):
    """What pods counted between two samples; each list has one entry per pod."""

    samples: Sequence[PodSample]
    before: Sequence[PodSample | None]
    """The samples that it is counted from; None for a new instance."""
    seconds: Sequence[float]
    counted: Sequence[Column]

    def where(self, chosen: Sequence[bool]) -> "Flows":
        """Those of some of the pods."""
        return Flows(
            list(compress(self.samples, chosen)),
            list(compress(self.before, chosen)),
            list(compress(self.seconds, chosen)),
            [list(compress(column, chosen)) for column in self.counted],
        )


def flows_of(
    seen: FleetSamples,
    lasts: Sequence[PodSample | None],
    apart: list[float],
    state: State,
    elapsed: float,
) -> Flows:
    """What each fresh pod counted since its last sample, ``apart`` seconds ago, or its start."""
    before = [
        last if last is not None and last.instance == sample.instance else None
        for sample, last in zip(seen.fresh, lasts, strict=True)
    ]
    counted = _counted(seen.columns, before, state)
    if any(min(column, default=0) < 0 for column in counted[:_COUNTERS]):
        # A counter that goes back is that of a new instance.
        rows = zip(*counted[:_COUNTERS], strict=True)
        before = [None if min(row) < 0 else last for row, last in zip(rows, before, strict=True)]
        counted = _counted(seen.columns, before, state)
    seconds = apart
    if not all(before):
        seconds = [
            gap if last is not None or gap < MIN_SECONDS else _age(sample, elapsed, known)
            for sample, last, gap, known in zip(seen.fresh, before, apart, lasts, strict=True)
        ]
    flows = Flows(seen.fresh, before, seconds, counted)
    usable = [MIN_SECONDS <= each <= SLOW_WINDOW for each in seconds]
    return flows if all(usable) else flows.where(usable)


def _age(sample: PodSample, elapsed: float, last: PodSample | None) -> float:
    """Seconds since a new instance started, about when its workers did; inf if it is not new.

    One that has run on since ``last`` is not new: its counters are wrong.
    """
    is_same = last is not None and last.instance == sample.instance
    if last is not None and is_same and (sample.uptime or 0.0) > (last.uptime or inf):
        return inf
    workers = max(1, sample.workers_ready + sample.workers_draining)
    age = max(elapsed, sample.worker_seconds / workers)
    return age if age <= MAX_NEW_INSTANCE_AGE else inf


def _counted(
    columns: Sequence[Column], before: Sequence[PodSample | None], state: State
) -> list[Column]:
    """The differences of the numbers to those before, from zero where there are none."""
    past = state.columns
    if not (past and len(before) == len(state.samples) and all(map(is_, before, state.samples))):
        past = columns_of([_START if last is None else last for last in before])
    pairs = zip(columns[:_DIFFERENCES], past, strict=False)
    return [list(map(sub, now, then)) for now, then in pairs]
