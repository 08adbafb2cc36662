"""Requests: arrival time, cost, upstream latency and connection of each.

They are drawn one minute at a time from the seed and the minute alone. Every policy therefore
gets identical requests, and a day needs no more memory than a minute.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate.faults import (
    BLOCK_EVERY,
    BLOCK_SECONDS,
    DEMAND_FACTOR,
    NO_FAULTS,
    FaultKind,
    Faults,
)
from aiapi_operator.simulate.scenario import ServiceModel
from aiapi_operator.simulate.traces import Floats, Trace

MINUTE = 60
MIN_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests in order of arrival; one entry of each array is one request."""

    at: Floats
    """When this attempt arrives."""
    loop: Floats
    """Loop time, in seconds."""
    upstream: Floats
    """Upstream latency, in seconds."""
    connection: npt.NDArray[np.int64]
    first_at: Floats
    """When the client made its first attempt."""
    prior_attempts: npt.NDArray[np.int64]
    """Attempts before this one."""
    stream: Floats | None = None
    """Time from the first byte to the end, in seconds; None for responses in one piece."""

    def __len__(self) -> int:
        return len(self.at)

    def between(self, start: float, end: float) -> "Requests":
        """The requests that arrive in [start, end)."""
        first, last = np.searchsorted(self.at, (start, end))
        return self.take(slice(int(first), int(last)))

    def take(self, which: slice | npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Requests":
        """The selected requests."""
        return Requests(
            self.at[which],
            self.loop[which],
            self.upstream[which],
            self.connection[which],
            self.first_at[which],
            self.prior_attempts[which],
            None if self.stream is None else self.stream[which],
        )


def concatenate(parts: Sequence[Requests]) -> Requests:
    """All parts, one after the other."""
    return Requests(
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.loop for part in parts]),
        np.concatenate([part.upstream for part in parts]),
        np.concatenate([part.connection for part in parts]),
        np.concatenate([part.first_at for part in parts]),
        np.concatenate([part.prior_attempts for part in parts]),
        _joined([part.stream for part in parts]),
    )


def _joined(streams: Sequence[Floats | None]) -> Floats | None:
    known = [stream for stream in streams if stream is not None]
    return np.concatenate(known) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A trace, and the service that receives its requests."""

    trace: Trace
    service: ServiceModel
    seed: int
    faults: Faults = NO_FAULTS

    @property
    def connections(self) -> int:
        """Connections that all clients hold together."""
        period = parse_duration(self.service.clients.period)
        return max(MIN_CONNECTIONS, round(self.trace.peak_minute * period))

    def minutes(self) -> Iterator[Requests]:
        """The requests of each minute."""
        for minute in range(-(-self.trace.seconds // MINUTE)):
            yield self._draw(minute)

    def _draw(self, minute: int) -> Requests:
        rng = np.random.default_rng([self.seed, 202, minute])
        at = self._arrivals(minute, rng)
        size = len(at)
        loop = self.service.draw_loop(rng, size)
        doubled = self.faults.during(FaultKind.DEMAND_DOUBLED, at)
        if doubled is not None:
            loop[doubled] *= DEMAND_FACTOR
        upstream = self.service.draw_upstream(rng, size)
        connection = rng.integers(0, self.connections, size)
        start = minute * MINUTE
        for moment in self.faults.moments(
            FaultKind.BLOCKING_HANDLER, BLOCK_EVERY, start, start + MINUTE
        ):
            # The next request to arrive, if this minute has one.
            loop[np.searchsorted(at, moment) :][:1] = BLOCK_SECONDS
        stream = self.service.draw_stream(rng, size)
        none = np.zeros(size, dtype=np.int64)
        return Requests(at, loop, upstream, connection, at, none, stream)

    def _arrivals(self, minute: int, rng: np.random.Generator) -> Floats:
        start = minute * MINUTE
        if self.trace.timestamps is not None:
            first, last = np.searchsorted(self.trace.timestamps, (start, start + MINUTE))
            return self.trace.timestamps[int(first) : int(last)]
        counts = self.trace.counts[start : start + MINUTE]
        whole = np.floor(counts + rng.random(len(counts))).astype(np.int64)
        seconds = np.repeat(np.arange(start, start + len(counts), dtype=np.float64), whole)
        times: Floats = np.sort(seconds + rng.random(len(seconds)))
        return times
