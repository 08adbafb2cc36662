"""The activator's Prometheus metrics, ``aiapi_activator_*``. docs/metrics.md lists them.

Series have the labels ``namespace`` and ``name`` of the AIApi, and end with it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from aiapi_operator.activator.fleet import Key

_AIAPI = ("namespace", "name")
_COLD_STARTS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 60.0, 120.0, 300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The current numbers of one AIApi."""

    key: Key
    held: int
    in_flight: int
    connections: int


class FleetMetrics:
    """The counters of one AIApi."""

    def __init__(self, requests: Counter, wakes: Counter, cold_start: Histogram, key: Key) -> None:
        self._requests = requests
        self._key = key
        self._by_outcome: dict[str, Counter] = {}
        self.wakes = wakes.labels(*key)
        self.cold_start = cold_start.labels(*key)

    def ended(self, outcome: str) -> None:
        """A request ended."""
        counter = self._by_outcome.get(outcome)
        if counter is None:
            counter = self._requests.labels(*self._key, outcome)
            self._by_outcome[outcome] = counter
        counter.inc()

    def remove(self, outcomes: Callable[..., None], *others: Callable[..., None]) -> None:
        """Remove the series."""
        for outcome in self._by_outcome:
            outcomes(*self._key, outcome)
        for remove in others:
            remove(*self._key)


class _Gauges(Collector):
    def __init__(self, now: Callable[[], Iterable[Now]]) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        held = GaugeMetricFamily(
            "aiapi_activator_held_requests", "Requests that wait for a pod.", labels=_AIAPI
        )
        in_flight = GaugeMetricFamily(
            "aiapi_activator_in_flight_requests", "Requests at a pod.", labels=_AIAPI
        )
        connections = GaugeMetricFamily(
            "aiapi_activator_connections", "Open connections of clients.", labels=_AIAPI
        )
        for each in self._now():
            held.add_metric(each.key, each.held)
            in_flight.add_metric(each.key, each.in_flight)
            connections.add_metric(each.key, each.connections)
        yield from (held, in_flight, connections)


class ActivatorMetrics:
    """All metrics, in a separate registry."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the client's gap
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "aiapi_activator_requests",
            "Requests that ended, by outcome.",
            (*_AIAPI, "outcome"),
            registry=registry,
        )
        self._wakes = Counter(
            "aiapi_activator_wakes",
            "Times that the fleet was scaled up.",
            _AIAPI,
            registry=registry,
        )
        self._cold_start = Histogram(
            "aiapi_activator_cold_start_seconds",
            "Time that held requests waited, from the first byte until they went to a pod.",
            _AIAPI,
            buckets=_COLD_STARTS,
            registry=registry,
        )

    def gauges_from(self, now: Callable[[], Iterable[Now]]) -> None:
        """Read the current numbers from ``now`` at each scrape."""
        self._registry.register(_Gauges(now))

    def fleet(self, key: Key) -> FleetMetrics:
        """The counters of one AIApi."""
        return FleetMetrics(self._requests, self._wakes, self._cold_start, key)

    def remove(self, fleet: FleetMetrics) -> None:
        """The AIApi is gone."""
        fleet.remove(self._requests.remove, self._wakes.remove, self._cold_start.remove)

    def text(self) -> bytes:
        """All metrics as Prometheus text."""
        return generate_latest(self._registry)
