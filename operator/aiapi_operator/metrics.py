"""The operator's own Prometheus metrics. All begin with ``aiapi_operator_``.

Metrics of one AIApi carry the labels ``namespace`` and ``name``, and go when it goes.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from aiapi_operator.engine.inventory import Key
from aiapi_operator.engine.ports import Seen
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.inputs import SizingSpec

_AIAPI = ("namespace", "name")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._gauges = {name: self._gauge(name, told) for name, told in _GAUGES.items()}
        self._size = self._gauge(
            "size",
            "Workers or replicas: wanted by the decision, or actually there.",
            "axis",
            "kind",
        )
        self._decisions = Counter(
            "aiapi_operator_decisions",
            "Decisions by reason; those that changed nothing are among them.",
            (*_AIAPI, "reason"),
            registry=self._registry,
        )
        self._ticks = Counter(
            "aiapi_operator_ticks",
            "Ticks by outcome: ok, or what went wrong.",
            (*_AIAPI, "outcome"),
            registry=self._registry,
        )
        self._scrape_failures = Counter(
            "aiapi_operator_scrape_failures",
            "Scrapes of ready pods that gave no sample.",
            _AIAPI,
            registry=self._registry,
        )
        self._tick_seconds = self._histogram("tick_seconds", "How long ticks take.")
        self._tick_lag = self._histogram("tick_lag_seconds", "How much too late ticks begin.")
        self._api_seconds = Histogram(
            "aiapi_operator_api_request_seconds",
            "Requests to the Kubernetes API by verb and status code (or error).",
            ("verb", "outcome"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._leader = Gauge(
            "aiapi_operator_leader",
            "1 while this operator acts, 0 while it stands by.",
            registry=self._registry,
        )

    def _gauge(self, name: str, told: str, *labels: str) -> Gauge:
        full = f"aiapi_operator_{name}"
        return Gauge(full, told, (*_AIAPI, *labels), registry=self._registry)

    def _histogram(self, name: str, told: str) -> Histogram:
        full = f"aiapi_operator_{name}"
        return Histogram(full, told, buckets=_SECONDS, registry=self._registry)

    def decided(self, key: Key, spec: SizingSpec, seen: Seen, decision: Decision) -> None:
        """A decision was taken."""
        for name, value in _values(spec, seen, decision).items():
            # A gauge without data is absent: it must not read as zero.
            if value is None:
                self._gauges[name].remove(*key)
            else:
                self._gauges[name].labels(*key).set(value)
        sizes = {
            ("workers", "wanted"): decision.workers * decision.replicas,
            ("workers", "actual"): seen.workers,
            ("replicas", "wanted"): decision.replicas,
            ("replicas", "actual"): seen.ready,
        }
        for labels, size in sizes.items():
            self._size.labels(*key, *labels).set(size)
        self._decisions.labels(*key, decision.verdict.value).inc()
        self._scrape_failures.labels(*key).inc(seen.silent)

    def ticked(self, key: Key, *, seconds: float, lag: float, outcome: str) -> None:
        """A tick ended: how long it took, how late it began, and how it ended."""
        self._ticks.labels(*key, outcome).inc()
        self._tick_seconds.observe(seconds)
        self._tick_lag.observe(lag)

    def forget(self, key: Key) -> None:
        """The AIApi is gone, and its series with it."""
        labels = dict(zip(_AIAPI, key, strict=True))
        families = (*self._gauges.values(), self._size, self._decisions, self._ticks)
        for family in (*families, self._scrape_failures):
            family.remove_by_labels(labels)

    def api_request(self, verb: str, outcome: str, seconds: float) -> None:
        """One attempt of a request to the Kubernetes API ended."""
        self._api_seconds.labels(verb, outcome).observe(seconds)

    def lead(self, leads: bool) -> None:
        """Whether this operator acts."""
        self._leader.set(leads)

    def text(self) -> bytes:
        """All of it in Prometheus text format."""
        return generate_latest(self._registry)


_GAUGES = {
    "demand_requests_per_second": "Arrivals a second expected when new capacity would serve.",
    "arrivals_per_second": "Requests that arrive in a second now.",
    "need_workers": "Workers that the load asks for, before limits and stabilisation.",
    "loop_utilization_ratio": "Loop utilisation of the busiest pod.",
    "target_utilization_ratio": "Loop utilisation that is aimed at.",
    "service_demand_seconds": "Loop time that a request costs.",
    "objective_seconds": "The latency that the objective allows.",
    "latency_seconds": "The latency measured at the objective's percentile.",
    "savings_ratio": "Part of the static baseline's cost that is saved.",
}


def _values(spec: SizingSpec, seen: Seen, decision: Decision) -> dict[str, float | None]:
    load, need = decision.load, decision.need
    return {
        "demand_requests_per_second": need.demand,
        "arrivals_per_second": load.arrivals_per_second,
        "need_workers": float(need.workers),
        "loop_utilization_ratio": load.loop_utilization,
        "target_utilization_ratio": need.target_utilization,
        "service_demand_seconds": need.service_demand,
        "objective_seconds": spec.objective.threshold,
        "latency_seconds": load.latency,
        "savings_ratio": None if seen.savings is None else seen.savings.percent / 100,
    }
