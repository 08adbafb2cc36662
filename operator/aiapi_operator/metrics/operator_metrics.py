"""The operator's own Prometheus metrics. docs/metrics.md lists each; a test compares the two.

All begin with ``aiapi_operator_``. Metrics of one AIApi carry the labels ``namespace`` and
``name``, and go when it goes, or when this operator is no longer the one that acts. What has no
data is absent: it must not read as zero.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from aiapi_operator.engine.cache import Key
from aiapi_operator.engine.ports import ObservedFleet
from aiapi_operator.metrics.attainment import Attainment
from aiapi_operator.sizing.decision import Binding, Condition, Decision
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.savings import Savings

_AIAPI = ("namespace", "name")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_GAUGES = {
    "demand_requests_per_second": "Arrivals a second expected when new capacity would serve.",
    "arrivals_per_second": "Requests that arrive in a second now, those that are shed included.",
    "in_flight_requests": "Requests being answered, the mean over the fast window.",
    "need_workers": "Workers that the load asks for, before limits and stabilisation.",
    "wanted_workers": "Workers in the whole fleet, as decided.",
    "actual_workers": "Workers that serve, in all pods that answered.",
    "wanted_replicas": "Pods, as decided.",
    "actual_replicas": "Pods that are ready.",
    "max_workers": "The most workers that the spec allows in the whole fleet.",
    "loop_utilization_ratio": "Loop utilisation of the busiest pod.",
    "target_utilization_ratio": "Loop utilisation that is aimed at.",
    "service_demand_seconds": "Loop time that a request costs.",
    "upstream_share_ratio": "Part of the requests' time that is spent waiting for upstreams.",
    "threads_busy_ratio": "Busy threads of those that there are, where requests need threads.",
    "objective_seconds": "The latency that the objective allows.",
    "objective_ratio": "Part of the requests that must be answered within it.",
    "latency_seconds": "The latency measured at the objective's percentile.",
    "savings_ratio": "Part of the static baseline's cost that is saved.",
    "savings_cores": "CPU cores saved on the mean, against the static baseline.",
    "last_tick_timestamp_seconds": "When the last tick ended well, in Unix time.",
}


class OperatorMetrics:
    """All metrics, in a registry of their own."""

    def __init__(self, *, version: str = "") -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the client's gap
        self._registry = CollectorRegistry()
        self._attainment: defaultdict[Key, Attainment] = defaultdict(Attainment)
        self._gauges = {name: self._gauge(name, told) for name, told in _GAUGES.items()}
        self._make_of_aiapis()
        self._make_of_the_operator(version)

    def _make_of_aiapis(self) -> None:
        self._binding = self._gauge(
            "binding", "1 for the constraint that set the need, 0 for the others.", "constraint"
        )
        self._condition = self._gauge(
            "condition", "1 while a condition is true, 0 while it is false.", "type"
        )
        self._cost = self._gauge("cost_per_hour", "Mean price an hour of what ran.", "currency")
        self._baseline_cost = self._gauge(
            "baseline_cost_per_hour", "Price an hour of the static baseline.", "currency"
        )
        self._decisions = self._counter(
            "decisions", "Decisions by reason; those that changed nothing are among them.", "reason"
        )
        self._requests = self._counter("requests", "Requests to the fleet by outcome.", "outcome")
        self._measured = self._counter("measured_requests", "Requests whose latency was measured.")
        self._within = self._counter(
            "within_objective_requests", "Requests that were answered within the objective."
        )
        self._ticks = self._counter("ticks", "Ticks by outcome: ok, or what went wrong.", "outcome")
        self._scrape_failures = self._counter(
            "scrape_failures", "Scrapes of ready pods that gave no sample."
        )

    def _make_of_the_operator(self, version: str) -> None:
        self._tick_seconds = self._histogram("tick_duration_seconds", "How long ticks take.")
        self._tick_lag = self._histogram("tick_lag_seconds", "How much too late ticks begin.")
        self._scrape_seconds = self._histogram(
            "scrape_duration_seconds", "How long a pod takes to tell its numbers.", "outcome"
        )
        self._api_seconds = self._histogram(
            "api_request_duration_seconds",
            "Requests to the Kubernetes API by verb and status code (or error).",
            "verb",
            "outcome",
        )
        self._leader = Gauge(
            "aiapi_operator_leader",
            "1 while this operator acts, 0 while it stands by.",
            registry=self._registry,
        )
        Info("aiapi_operator_build", "The operator's version.", registry=self._registry).info(
            {"version": version}
        )
        ProcessCollector(registry=self._registry)

    def _gauge(self, name: str, told: str, *labels: str) -> Gauge:
        full = f"aiapi_operator_{name}"
        return Gauge(full, told, (*_AIAPI, *labels), registry=self._registry)

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        full = f"aiapi_operator_{name}"
        return Counter(full, told, (*_AIAPI, *labels), registry=self._registry)

    def _histogram(self, name: str, told: str, *labels: str) -> Histogram:
        full = f"aiapi_operator_{name}"
        return Histogram(full, told, labels, buckets=_SECONDS, registry=self._registry)

    def record_decision(
        self, key: Key, spec: SizingSpec, seen: ObservedFleet, decision: Decision
    ) -> None:
        """A decision was taken."""
        self._set(key, _values(spec, seen, decision))
        for constraint in Binding:
            binds = constraint is decision.need.binding
            self._binding.labels(*key, constraint.value).set(binds)
        self._decisions.labels(*key, decision.verdict.value).inc()
        self._scrape_failures.labels(*key).inc(seen.silent)
        self._count(key, spec, seen)
        if seen.savings is not None:
            currency = seen.savings.currency
            for family, price in (
                (self._cost, seen.savings.cost_hour),
                (self._baseline_cost, seen.savings.baseline_hour),
            ):
                family.remove_by_labels(dict(zip(_AIAPI, key, strict=True)))
                family.labels(*key, currency).set(price)

    def _set(self, key: Key, values: Mapping[str, float | None]) -> None:
        for name, value in values.items():
            if value is None:
                self._gauges[name].remove(*key)
            else:
                self._gauges[name].labels(*key).set(value)

    def _count(self, key: Key, spec: SizingSpec, seen: ObservedFleet) -> None:
        more = self._attainment[key].since(seen.samples, spec.objective.threshold)
        for outcome, count in more.outcomes.items():
            self._requests.labels(*key, outcome).inc(count)
        self._measured.labels(*key).inc(more.measured)
        self._within.labels(*key).inc(more.within)

    def record_conditions(self, key: Key, conditions: Iterable[Condition]) -> None:
        """What was told of an AIApi. An unknown condition has no series."""
        for told in conditions:
            if told.status is None:
                self._condition.remove(*key, told.type)
            else:
                self._condition.labels(*key, told.type).set(told.status)

    def record_tick(
        self, key: Key, *, seconds: float, lag: float, outcome: str, now: float | None = None
    ) -> None:
        """A tick ended: how long it took, how late it began, and how it ended."""
        self._ticks.labels(*key, outcome).inc()
        self._tick_seconds.observe(seconds)
        self._tick_lag.observe(lag)
        if outcome == "ok":
            last = self._gauges["last_tick_timestamp_seconds"].labels(*key)
            last.set_to_current_time() if now is None else last.set(now)

    def forget(self, key: Key) -> None:
        """The AIApi is gone, and its series with it."""
        labels = dict(zip(_AIAPI, key, strict=True))
        for family in self._of_aiapis():
            family.remove_by_labels(labels)
        self._attainment.pop(key, None)

    def _of_aiapis(self) -> tuple[Gauge | Counter, ...]:
        gauges = (self._binding, self._condition, self._cost, self._baseline_cost)
        counters = (self._decisions, self._requests, self._measured, self._within, self._ticks)
        return (*self._gauges.values(), *gauges, *counters, self._scrape_failures)

    def record_scrape(self, outcome: str, seconds: float) -> None:
        """A pod was asked for its numbers."""
        self._scrape_seconds.labels(outcome).observe(seconds)

    def record_api_request(self, verb: str, outcome: str, seconds: float) -> None:
        """One attempt of a request to the Kubernetes API ended."""
        self._api_seconds.labels(verb, outcome).observe(seconds)

    def set_leader(self, leads: bool) -> None:
        """Whether this operator acts. Who does not has nothing to tell of AIApis."""
        self._leader.set(leads)
        if not leads:
            for family in self._of_aiapis():
                family.clear()
            self._attainment.clear()

    def text(self) -> bytes:
        """All of it in Prometheus text format."""
        return generate_latest(self._registry)


def _values(spec: SizingSpec, seen: ObservedFleet, decision: Decision) -> dict[str, float | None]:
    load, need, savings = decision.load, decision.need, seen.savings
    return {
        "demand_requests_per_second": need.demand,
        "arrivals_per_second": load.arrivals_per_second,
        "in_flight_requests": load.in_flight,
        "need_workers": float(need.workers),
        "wanted_workers": float(decision.workers * decision.replicas),
        "actual_workers": float(seen.workers),
        "wanted_replicas": float(decision.replicas),
        "actual_replicas": float(seen.ready),
        "max_workers": float(spec.workers.max * spec.replicas.max),
        "loop_utilization_ratio": load.loop_utilization,
        "target_utilization_ratio": need.target_utilization,
        "service_demand_seconds": need.service_demand,
        "upstream_share_ratio": load.upstream_share,
        "threads_busy_ratio": load.threads_utilization,
        "objective_seconds": spec.objective.threshold,
        "objective_ratio": spec.objective.percentile / 100,
        "latency_seconds": load.latency,
        "savings_ratio": None if savings is None else savings.percent / 100,
        "savings_cores": None if savings is None else _cores(spec, savings),
    }


def _cores(spec: SizingSpec, savings: Savings) -> float | None:
    """The baseline's cores less the mean of what ran."""
    baseline = savings.baseline.total
    if savings.baseline_worker_seconds <= 0:
        return None
    mean = baseline * savings.worker_seconds / savings.baseline_worker_seconds
    return (baseline - mean) * spec.worker_cpu
