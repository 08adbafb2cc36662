"""Means over a sliding window of counters, as Prometheus' ``rate`` or a queue-proxy reports."""

from collections import deque

from aiapi_operator.simulate.snapshot import FleetTotals
from aiapi_operator.sizing.inputs import ObjectiveKind


class RateWindow:
    """Keeps the totals of the longest window."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._samples: deque[FleetTotals] = deque()

    def add(self, totals: FleetTotals) -> None:
        """Add a sample."""
        self._samples.append(totals)
        while len(self._samples) > 2 and self._samples[1].time <= totals.time - self._seconds:
            self._samples.popleft()

    def concurrency(self, seconds: float) -> float | None:
        """Mean requests in flight in the fleet."""
        pair = self._pair(seconds)
        if pair is None:
            return None
        old, new = pair
        return (new.in_flight_seconds - old.in_flight_seconds) / (new.time - old.time)

    def cpu(self, seconds: float) -> float | None:
        """Mean cores used by the fleet."""
        pair = self._pair(seconds)
        if pair is None:
            return None
        old, new = pair
        return (new.cpu_seconds - old.cpu_seconds) / (new.time - old.time)

    def latencies(
        self, seconds: float, kind: ObjectiveKind = ObjectiveKind.LATENCY
    ) -> tuple[int, ...] | None:
        """Requests by bucket of the time that objectives of this kind are for."""
        pair = self._pair(seconds)
        if pair is None:
            return None
        old, new = pair
        name = "first_bytes" if kind is ObjectiveKind.FIRST_BYTE else "latencies"
        return tuple((getattr(new, name) - getattr(old, name)).tolist())

    def _pair(self, seconds: float) -> tuple[FleetTotals, FleetTotals] | None:
        """The newest sample that is at least ``seconds`` old (or the oldest), and the newest."""
        if len(self._samples) < 2:
            return None
        new = self._samples[-1]
        old = self._samples[0]
        for sample in self._samples:
            if sample.time > new.time - seconds + 1e-6:
                break
            old = sample
        return (old, new) if old is not new else None
