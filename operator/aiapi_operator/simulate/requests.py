"""Requests: when each comes, what it costs, what it waits for, on which connection.

They are drawn a minute at a time, by the seed and the minute alone. So every policy meets
the very same requests, whatever it does, and a day needs no more memory than a minute.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate.faults import (
    BLOCK_EVERY,
    BLOCK_SECONDS,
    DOUBLED,
    NO_FAULTS,
    FaultKind,
    Faults,
)
from aiapi_operator.simulate.scenario import ServiceModel
from aiapi_operator.simulate.traces import Floats, Trace

MINUTE = 60
FEWEST_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests in order of arrival; one entry of each array is one request."""

    at: Floats
    loop: Floats
    """Loop seconds."""
    upstream: Floats
    """Seconds of waiting."""
    connection: npt.NDArray[np.int64]
    born: Floats
    """When the caller tried first."""
    tries: npt.NDArray[np.int64]
    """How often the caller has tried before."""

    def __len__(self) -> int:
        return len(self.at)

    def between(self, start: float, end: float) -> "Requests":
        """Those that come from ``start`` until just before ``end``."""
        first, last = np.searchsorted(self.at, (start, end))
        return self.take(slice(int(first), int(last)))

    def take(self, which: slice | npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Requests":
        """A part of them."""
        return Requests(
            self.at[which],
            self.loop[which],
            self.upstream[which],
            self.connection[which],
            self.born[which],
            self.tries[which],
        )


def join(parts: Sequence[Requests]) -> Requests:
    """All of them, one part after the other."""
    return Requests(
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.loop for part in parts]),
        np.concatenate([part.upstream for part in parts]),
        np.concatenate([part.connection for part in parts]),
        np.concatenate([part.born for part in parts]),
        np.concatenate([part.tries for part in parts]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A trace, and the service that its requests ask."""

    trace: Trace
    service: ServiceModel
    seed: int
    faults: Faults = NO_FAULTS

    @property
    def connections(self) -> int:
        """Connections that all callers hold together."""
        period = parse_duration(self.service.clients.period)
        return max(FEWEST_CONNECTIONS, round(self.trace.peak_minute * period))

    def minutes(self) -> Iterator[Requests]:
        """The requests of each minute."""
        for minute in range(-(-self.trace.seconds // MINUTE)):
            yield self._draw(minute)

    def _draw(self, minute: int) -> Requests:
        rng = np.random.default_rng([self.seed, 202, minute])
        at = self._times(minute, rng)
        size = len(at)
        loop = self.service.draw_loop(rng, size)
        doubled = self.faults.during(FaultKind.DEMAND_DOUBLED, at)
        if doubled is not None:
            loop[doubled] *= DOUBLED
        upstream = self.service.draw_upstream(rng, size)
        connection = rng.integers(0, self.connections, size)
        start = minute * MINUTE
        for moment in self.faults.moments(
            FaultKind.BLOCKING_HANDLER, BLOCK_EVERY, start, start + MINUTE
        ):
            # The next request to come, if there is one in this minute.
            loop[np.searchsorted(at, moment) :][:1] = BLOCK_SECONDS
        return Requests(at, loop, upstream, connection, at, np.zeros(size, dtype=np.int64))

    def _times(self, minute: int, rng: np.random.Generator) -> Floats:
        start = minute * MINUTE
        if self.trace.stamps is not None:
            first, last = np.searchsorted(self.trace.stamps, (start, start + MINUTE))
            return self.trace.stamps[int(first) : int(last)]
        counts = self.trace.counts[start : start + MINUTE]
        whole = np.floor(counts + rng.random(len(counts))).astype(np.int64)
        seconds = np.repeat(np.arange(start, start + len(counts), dtype=np.float64), whole)
        times: Floats = np.sort(seconds + rng.random(len(seconds)))
        return times
