"""The operator's Prometheus metrics. docs/metrics.md lists them; a test compares the two.

All names start with ``aiapi_operator_``. Series of one AIApi have the labels ``namespace`` and
``name``. They are removed when the AIApi is deleted or this operator stops being the leader. A
metric without data is absent, because zero would be wrong.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

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
from aiapi_operator.metrics.attainment import Attainment, Increase
from aiapi_operator.sizing.decision import Binding, Condition, Decision
from aiapi_operator.sizing.inputs import ObjectiveKind, SizingSpec
from aiapi_operator.sizing.learners.failed_requests import FailedRequests
from aiapi_operator.sizing.savings import Savings

_AIAPI = ("namespace", "name")
PHASES = ("Serving", "Leaving", "Asleep", "Waking")
"""The phases of ``status.activation``."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_GAUGES = {
    "demand_requests_per_second": "Requests per second expected when new capacity would serve.",
    "arrivals_per_second": "Requests that arrive per second, including shed requests.",
    "in_flight_requests": "Requests in flight, averaged over the fast window.",
    "need_workers": "Workers that the load needs, before limits and stabilisation.",
    "wanted_workers": "Decided number of workers in the whole fleet.",
    "actual_workers": "Workers that serve, in all pods that answered.",
    "wanted_replicas": "Decided number of pods.",
    "actual_replicas": "Ready pods.",
    "max_workers": "Maximum number of workers that the spec allows in the whole fleet.",
    "loop_utilization_ratio": "Loop utilisation of the busiest pod.",
    "target_utilization_ratio": "Target loop utilisation.",
    "service_demand_seconds": "Loop time per request.",
    "upstream_share_ratio": "Share of the requests' time spent waiting for upstreams.",
    "threads_busy_ratio": "Share of busy threads, where requests need threads.",
    "savings_ratio": "Share of the static baseline's cost that is saved.",
    "savings_cores": "Average CPU cores saved against the static baseline.",
    "failing_ratio": "Share of the requests of the last minute that failed.",
    "last_tick_timestamp_seconds": "Unix time of the last successful tick.",
}
_OBJECTIVE_GAUGES = {
    "objective_seconds": "Threshold of the objective.",
    "objective_ratio": "Share of requests that the objective requires within its threshold.",
    "latency_seconds": "Latency, or time to the first byte, at the objective's percentile.",
}


class OperatorMetrics:
    """All metrics, in a separate registry."""

    def __init__(self, *, version: str = "") -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the client's gap
        self._registry = CollectorRegistry()
        self._attainment: defaultdict[Key, dict[ObjectiveKind, Attainment]] = defaultdict(dict)
        self._gauges = {name: self._gauge(name, text) for name, text in _GAUGES.items()}
        self._by_objective = {
            name: self._gauge(name, text, "objective") for name, text in _OBJECTIVE_GAUGES.items()
        }
        self._create_aiapi_metrics()
        self._create_operator_metrics(version)

    def _create_aiapi_metrics(self) -> None:
        self._binding = self._gauge(
            "binding",
            "1 for the constraint that determines the need, 0 for the others.",
            "constraint",
        )
        self._condition = self._gauge(
            "condition", "1 while a condition is true, 0 while it is false.", "type"
        )
        self._phase = self._gauge(
            "activation_phase",
            "1 for the phase of an AIApi that may go to zero, 0 for the others.",
            "phase",
        )
        self._cost = self._gauge(
            "cost_per_hour", "Average hourly cost of the pods that ran.", "currency"
        )
        self._baseline_cost = self._gauge(
            "baseline_cost_per_hour", "Hourly cost of the static baseline.", "currency"
        )
        self._decisions = self._counter(
            "decisions", "Decisions by reason, including those without a change.", "reason"
        )
        self._requests = self._counter("requests", "Requests to the fleet by outcome.", "outcome")
        self._failed = self._counter(
            "failed_requests",
            "Requests that failed by kind; cancelled only where the service was the cause.",
            "kind",
        )
        self._measured = self._counter(
            "measured_requests",
            "Requests whose time was measured, and failed requests, by objective.",
            "objective",
        )
        self._within = self._counter(
            "within_objective_requests",
            "Requests answered within the objective's threshold.",
            "objective",
        )
        self._ticks = self._counter(
            "ticks", "Ticks by outcome: ok or a kind of failure.", "outcome"
        )
        self._scrape_failures = self._counter(
            "scrape_failures", "Scrapes of ready pods that returned no sample."
        )

    def _create_operator_metrics(self, version: str) -> None:
        self._tick_seconds = self._histogram("tick_duration_seconds", "Duration of ticks.")
        self._tick_lag = self._histogram("tick_lag_seconds", "How late ticks start.")
        self._scrape_seconds = self._histogram(
            "scrape_duration_seconds", "Duration of scrapes.", "outcome"
        )
        self._api_seconds = self._histogram(
            "api_request_duration_seconds",
            "Requests to the Kubernetes API by verb and status code (or error).",
            "verb",
            "outcome",
        )
        self._leader = Gauge(
            "aiapi_operator_leader",
            "1 while this operator is the leader, 0 while it stands by.",
            registry=self._registry,
        )
        Info("aiapi_operator_build", "The operator's version.", registry=self._registry).info(
            {"version": version}
        )
        ProcessCollector(registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        full = f"aiapi_operator_{name}"
        return Gauge(full, text, (*_AIAPI, *labels), registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        full = f"aiapi_operator_{name}"
        return Counter(full, text, (*_AIAPI, *labels), registry=self._registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        full = f"aiapi_operator_{name}"
        return Histogram(full, text, labels, buckets=_SECONDS, registry=self._registry)

    def record_decision(
        self, key: Key, spec: SizingSpec, fleet: ObservedFleet, decision: Decision
    ) -> None:
        """Record a decision and the fleet it was made for."""
        self._set(key, _values(spec, fleet, decision), self._gauges)
        for constraint in Binding:
            binds = constraint is decision.need.binding
            self._binding.labels(*key, constraint.value).set(binds)
        self._decisions.labels(*key, decision.verdict.value).inc()
        self._scrape_failures.labels(*key).inc(fleet.silent)
        self._count(key, spec, fleet, decision)
        self._set_objectives(key, spec, decision)
        if fleet.savings is not None:
            currency = fleet.savings.currency
            for family, price in (
                (self._cost, fleet.savings.cost_hour),
                (self._baseline_cost, fleet.savings.baseline_hour),
            ):
                family.remove_by_labels(dict(zip(_AIAPI, key, strict=True)))
                family.labels(*key, currency).set(price)

    def _set(
        self,
        labels: Sequence[str],
        values: Mapping[str, float | None],
        gauges: Mapping[str, Gauge],
    ) -> None:
        for name, value in values.items():
            if value is None:
                gauges[name].remove(*labels)
            else:
                gauges[name].labels(*labels).set(value)

    def _count(self, key: Key, spec: SizingSpec, fleet: ObservedFleet, decision: Decision) -> None:
        failed = decision.state.memory.get(FailedRequests)
        before = self._attainment[key]
        known = {each.kind: before.get(each.kind, Attainment()) for each in spec.objectives}
        self._attainment[key] = known
        for objective in spec.objectives:
            more = known[objective.kind].since(
                fleet.samples,
                objective.threshold,
                kind=objective.kind,
                counts_cancelled=failed is not None and failed.counts_cancelled,
            )
            self._measured.labels(*key, objective.kind).inc(more.measured)
            self._within.labels(*key, objective.kind).inc(more.within)
            if objective is spec.objective:
                self._count_outcomes(key, more)

    def _count_outcomes(self, key: Key, more: Increase) -> None:
        for outcome, count in more.outcomes.items():
            self._requests.labels(*key, outcome).inc(count)
        for kind, count in more.failed.items():
            self._failed.labels(*key, kind).inc(count)

    def _set_objectives(self, key: Key, spec: SizingSpec, decision: Decision) -> None:
        for kind in ObjectiveKind:
            objective = spec.objective_for(kind)
            values: dict[str, float | None] = dict.fromkeys(_OBJECTIVE_GAUGES)
            if objective is not None:
                values["objective_seconds"] = objective.threshold
                values["objective_ratio"] = objective.percentile / 100
                values["latency_seconds"] = decision.load.measured(kind)
            self._set((*key, kind), values, self._by_objective)

    def record_conditions(self, key: Key, conditions: Iterable[Condition]) -> None:
        """Record the conditions of an AIApi. An unknown condition has no series."""
        for condition in conditions:
            if condition.status is None:
                self._condition.remove(*key, condition.type)
            else:
                self._condition.labels(*key, condition.type).set(condition.status)

    def record_activation(self, key: Key, phase: str | None) -> None:
        """Record the phase of an AIApi. One that may not go to zero has no series."""
        for each in PHASES:
            if phase is None:
                self._phase.remove(*key, each)
            else:
                self._phase.labels(*key, each).set(each == phase)

    def record_tick(
        self, key: Key, *, seconds: float, lag: float, outcome: str, now: float | None = None
    ) -> None:
        """Record a tick: its duration, how late it started, and its outcome."""
        self._ticks.labels(*key, outcome).inc()
        self._tick_seconds.observe(seconds)
        self._tick_lag.observe(lag)
        if outcome == "ok":
            last = self._gauges["last_tick_timestamp_seconds"].labels(*key)
            last.set_to_current_time() if now is None else last.set(now)

    def forget(self, key: Key) -> None:
        """Remove the series of a deleted AIApi."""
        labels = dict(zip(_AIAPI, key, strict=True))
        for family in self._aiapi_families():
            family.remove_by_labels(labels)
        self._attainment.pop(key, None)

    def _aiapi_families(self) -> tuple[Gauge | Counter, ...]:
        gauges = (self._binding, self._condition, self._phase, self._cost, self._baseline_cost)
        counters = (self._decisions, self._requests, self._failed, self._measured, self._within)
        ticks = (self._ticks, self._scrape_failures)
        families = (*self._gauges.values(), *self._by_objective.values())
        return (*families, *gauges, *counters, *ticks)

    def record_scrape(self, outcome: str, seconds: float) -> None:
        """Record a scrape of one pod."""
        self._scrape_seconds.labels(outcome).observe(seconds)

    def record_api_request(self, verb: str, outcome: str, seconds: float) -> None:
        """Record one attempt of a request to the Kubernetes API."""
        self._api_seconds.labels(verb, outcome).observe(seconds)

    def set_leader(self, leads: bool) -> None:
        """Record leadership. Without it, the series of AIApis are removed."""
        self._leader.set(leads)
        if not leads:
            for family in self._aiapi_families():
                family.clear()
            self._attainment.clear()

    def text(self) -> bytes:
        """All metrics in Prometheus text format."""
        return generate_latest(self._registry)


def _values(spec: SizingSpec, fleet: ObservedFleet, decision: Decision) -> dict[str, float | None]:
    load, need, savings = decision.load, decision.need, fleet.savings
    return {
        "demand_requests_per_second": need.demand,
        "arrivals_per_second": load.arrivals_per_second,
        "in_flight_requests": load.in_flight,
        "need_workers": float(need.workers),
        "wanted_workers": float(decision.workers * decision.replicas),
        "actual_workers": float(fleet.workers),
        "wanted_replicas": float(decision.replicas),
        "actual_replicas": float(fleet.ready),
        "max_workers": float(spec.workers.max * spec.replicas.max),
        "loop_utilization_ratio": load.loop_utilization,
        "target_utilization_ratio": need.target_utilization,
        "service_demand_seconds": need.service_demand,
        "upstream_share_ratio": load.upstream_share,
        "threads_busy_ratio": load.threads_utilization,
        "failing_ratio": load.failing,
        "savings_ratio": _saved_share(savings),
        "savings_cores": None if savings is None else _cores(spec, savings),
    }


def _saved_share(savings: Savings | None) -> float | None:
    return None if savings is None or savings.percent is None else savings.percent / 100


def _cores(spec: SizingSpec, savings: Savings) -> float | None:
    """The baseline's cores minus the average of the pods that ran."""
    baseline = savings.baseline.total
    if savings.withheld is not None or savings.baseline_worker_seconds <= 0:
        return None
    mean = baseline * savings.worker_seconds / savings.baseline_worker_seconds
    return (baseline - mean) * spec.worker_cpu
