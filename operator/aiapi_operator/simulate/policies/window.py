"""Means over a sliding window, from counters: what Prometheus' ``rate`` or a queue-proxy says."""

from collections import deque

from aiapi_operator.simulate.snapshot import FleetTotals


class RateWindow:
    """Remembers totals for as long as the longest window asks."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._seen: deque[FleetTotals] = deque()

    def add(self, totals: FleetTotals) -> None:
        """One look."""
        self._seen.append(totals)
        while len(self._seen) > 2 and self._seen[1].time <= totals.time - self._window:
            self._seen.popleft()

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

    def latencies(self, seconds: float) -> tuple[int, ...] | None:
        """Latencies by bucket."""
        pair = self._pair(seconds)
        if pair is None:
            return None
        old, new = pair
        return tuple((new.latencies - old.latencies).tolist())

    def _pair(self, seconds: float) -> tuple[FleetTotals, FleetTotals] | None:
        """The newest look, and the newest of those that are old enough (or the oldest)."""
        if len(self._seen) < 2:
            return None
        new = self._seen[-1]
        old = self._seen[0]
        for seen in self._seen:
            if seen.time > new.time - seconds + 1e-6:
                break
            old = seen
        return (old, new) if old is not new else None
