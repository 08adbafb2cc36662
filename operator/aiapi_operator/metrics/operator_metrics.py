"""The operator's Prometheus metrics. docs/metrics.md lists them; a test compares the two.

All names start with ``aiapi_operator_``. Series of one AIApi have the labels ``namespace`` and
``name``. They are removed when the AIApi is deleted or this operator stops being the leader. A
metric without data is absent, because zero would be wrong.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
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
from aiapi_operator.metrics.series import AIApiSeries, AllSeries, SeriesText
from aiapi_operator.sizing.decision import Binding, Condition, Decision
from aiapi_operator.sizing.inputs import ObjectiveKind, SizingSpec
from aiapi_operator.sizing.learners.failed_requests import FailedRequests
from aiapi_operator.sizing.savings import Savings

PHASES = ("Serving", "Leaving", "Asleep", "Waking")
"""The phases of ``status.activation``."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BINDING = {
    binding: {each.value: float(each is binding) for each in Binding} for binding in Binding
}


class OperatorMetrics:
    """All metrics. Those without an AIApi are in a registry of the client library."""

    def __init__(self, *, version: str = "") -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the client's gap
        self._registry = CollectorRegistry()
        self._attainment: defaultdict[Key, dict[ObjectiveKind, Attainment]] = defaultdict(dict)
        self._series = AllSeries()
        self._create_operator_metrics(version)

    def _create_operator_metrics(self, version: str) -> None:
        self._tick_seconds = self._histogram("tick_duration_seconds", "Duration of ticks.")
        self._tick_lag = self._histogram("tick_lag_seconds", "How late ticks start.")
        self._scrape_seconds = self._histogram(
            "scrape_duration_seconds", "Duration of scrapes.", "outcome"
        )
        self._scrapes: dict[str, Histogram] = {}
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
        self._unowned = Gauge(
            "aiapi_operator_unowned_aiapis",
            "AIApis without a live shard that owns them, at the holder of the ring.",
            registry=self._registry,
        )
        Info("aiapi_operator_build", "The operator's version.", registry=self._registry).info(
            {"version": version}
        )
        ProcessCollector(registry=self._registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        full = f"aiapi_operator_{name}"
        return Histogram(full, text, labels, buckets=_SECONDS, registry=self._registry)

    def record_decision(
        self, key: Key, spec: SizingSpec, fleet: ObservedFleet, decision: Decision
    ) -> None:
        """Record a decision and the fleet it was made for."""
        series = self._series.of(key)
        for name, value in _values(spec, fleet, decision).items():
            series.set(name, value)
        series.replace("binding", _BINDING[decision.need.binding])
        series.increase_all("decisions", {decision.verdict.value: 1})
        series.increase("scrape_failures", fleet.silent)
        self._count(key, series, spec, fleet, decision)
        _set_objectives(series, spec, decision)
        if fleet.savings is not None:
            currency = fleet.savings.currency
            series.replace("cost_per_hour", {currency: fleet.savings.cost_hour})
            series.replace("baseline_cost_per_hour", {currency: fleet.savings.baseline_hour})

    def _count(
        self,
        key: Key,
        series: AIApiSeries,
        spec: SizingSpec,
        fleet: ObservedFleet,
        decision: Decision,
    ) -> None:
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
            series.increase_all("measured_requests", {objective.kind.value: more.measured})
            series.increase_all("within_objective_requests", {objective.kind.value: more.within})
            if objective is spec.objective:
                series.increase_all("requests", more.outcomes)
                series.increase_all("failed_requests", more.failed)

    def record_conditions(self, key: Key, conditions: Iterable[Condition]) -> None:
        """Record the conditions of an AIApi. An unknown condition has no series."""
        self._series.of(key).update("condition", {each.type: each.status for each in conditions})

    def record_activation(self, key: Key, phase: str | None) -> None:
        """Record the phase of an AIApi. One that may not go to zero has no series."""
        values = {each: None if phase is None else float(each == phase) for each in PHASES}
        self._series.of(key).update("activation_phase", values)

    def record_tick(
        self, key: Key, *, seconds: float, lag: float, outcome: str, now: float | None = None
    ) -> None:
        """Record a tick: its duration, how late it started, and its outcome."""
        series = self._series.of(key)
        series.increase_all("ticks", {outcome: 1})
        self._tick_seconds.observe(seconds)
        self._tick_lag.observe(lag)
        if outcome == "ok":
            series.set("last_tick_timestamp_seconds", time.time() if now is None else now)

    def forget(self, key: Key) -> None:
        """Remove the series of a deleted AIApi."""
        self._series.forget(key)
        self._attainment.pop(key, None)

    def record_scrape(self, outcome: str, seconds: float) -> None:
        """Record a scrape of one pod."""
        series = self._scrapes.get(outcome)
        if series is None:
            series = self._scrapes[outcome] = self._scrape_seconds.labels(outcome)
        series.observe(seconds)

    def record_api_request(self, verb: str, outcome: str, seconds: float) -> None:
        """Record one attempt of a request to the Kubernetes API."""
        self._api_seconds.labels(verb, outcome).observe(seconds)

    def set_leader(self, leads: bool) -> None:
        """Record leadership. Without it, the series of AIApis are removed."""
        self._leader.set(leads)
        if not leads:
            self._series.clear()
            self._attainment.clear()

    def set_unowned(self, count: int) -> None:
        """Record the AIApis that no live shard owns."""
        self._unowned.set(count)

    def text(self) -> bytes:
        """All metrics in Prometheus text format."""
        return b"".join(self._parts())

    async def render(self) -> bytes:
        """As ``text``, but other tasks run in between."""
        parts = []
        for part in self._parts():
            parts.append(part)
            await asyncio.sleep(0)
        return b"".join(parts)

    def _parts(self) -> Iterator[bytes]:
        """The text in parts; those that only take time are empty."""
        text = SeriesText()
        for _ in self._series.write(text):
            yield b""
        yield from text.parts()
        yield generate_latest(self._registry)


def _set_objectives(series: AIApiSeries, spec: SizingSpec, decision: Decision) -> None:
    seconds = {each.kind.value: each.threshold for each in spec.objectives}
    series.replace("objective_seconds", seconds)
    ratios = {each.kind.value: each.percentile / 100 for each in spec.objectives}
    series.replace("objective_ratio", ratios)
    latency = {each.kind.value: decision.load.measured(each.kind) for each in spec.objectives}
    known = {kind: value for kind, value in latency.items() if value is not None}
    series.replace("latency_seconds", known)


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
