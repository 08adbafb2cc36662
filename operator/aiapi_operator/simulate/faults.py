"""Injected faults: ``KIND@START+LENGTH``, such as ``upstream-slow@3600+600``."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

import numpy as np

from aiapi_operator.simulate.traces import Floats

SLOW_FACTOR = 3.0
DEMAND_FACTOR = 2.0
SLOW_POD_START = 60.0
OUTAGE_LATENCY = 1.0
"""Seconds after which a call fails during an outage."""
BLOCK_SECONDS = 5.0
BLOCK_EVERY = 30.0
_FORM = re.compile(r"^(?P<kind>[a-z-]+)@(?P<start>\d+(?:\.\d+)?)(?:\+(?P<length>\d+(?:\.\d+)?))?$")


class FaultKind(StrEnum):
    """What can be injected."""

    UPSTREAM_SLOW = "upstream-slow"
    """The upstream takes three times as long."""
    UPSTREAM_OUTAGE = "upstream-outage"
    """Calls to the upstream fail after a second; clients retry."""
    METRICS_GONE = "metrics-gone"
    """No pod answers the scraper; no autoscaler has metrics."""
    SLOW_PODS = "slow-pods"
    """A pod created during the fault takes a minute to start."""
    DEMAND_DOUBLED = "demand-doubled"
    """A request costs twice the loop time."""
    BLOCKING_HANDLER = "blocking-handler"
    """Every 30 s the handler of one request blocks its event loop for 5 s."""


class FaultError(ValueError):
    """The text is not a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault from ``start`` until ``end``, in seconds of the trace."""

    kind: FaultKind
    start: float
    end: float


def parse_fault(text: str) -> Fault:
    """Parse ``KIND@START+LENGTH``; without a length the fault lasts until the end."""
    match = _FORM.match(text)
    kinds = ", ".join(kind.value for kind in FaultKind)
    if match is None or match["kind"] not in tuple(FaultKind):
        raise FaultError(f"{text!r}: use KIND@START+LENGTH in seconds; kinds are {kinds}")
    start = float(match["start"])
    length = float(match["length"]) if match["length"] else float("inf")
    return Fault(kind=FaultKind(match["kind"]), start=start, end=start + length)


@dataclass(frozen=True, slots=True)
class Faults:
    """All faults of a run."""

    all: tuple[Fault, ...] = ()

    def active(self, kind: FaultKind, now: float) -> bool:
        """Whether a fault of this kind is active now."""
        return any(fault.start <= now < fault.end for fault in self._of(kind))

    def during(
        self, kind: FaultKind, times: Floats
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]] | None:
        """Which of ``times`` are affected, or None if the run has no such fault."""
        hit = None
        for fault in self._of(kind):
            within = (times >= fault.start) & (times < fault.end)
            hit = within if hit is None else hit | within
        return hit

    def moments(self, kind: FaultKind, period: float, start: float, end: float) -> Iterator[float]:
        """The moments in [start, end) that are multiples of ``period`` after a fault's start."""
        for fault in self._of(kind):
            first = max(0, ceil((start - fault.start) / period))
            for turn in range(first, first + ceil((end - start) / period)):
                moment = fault.start + turn * period
                if start <= moment < min(end, fault.end):
                    yield moment

    def _of(self, kind: FaultKind) -> Iterable[Fault]:
        return (fault for fault in self.all if fault.kind is kind)


NO_FAULTS = Faults()
