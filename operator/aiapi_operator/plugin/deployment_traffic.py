"""The traffic of a Deployment, what a request costs it, and what its fleet costs now.

Everything is read from Prometheus: the requests from whatever counts them, the CPU of the pods from
cAdvisor, and the number of pods from kube-state-metrics. What is missing is said, never guessed.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aiapi_operator.api import AIApi, AIApiSpec
from aiapi_operator.api.duration import format_duration
from aiapi_operator.plugin.adopt.choices import Choices, chosen_container
from aiapi_operator.plugin.adopt.command import converted
from aiapi_operator.plugin.adopt.related import Belongings
from aiapi_operator.plugin.adopt.validation import validate
from aiapi_operator.present.numbers import number, percent
from aiapi_operator.simulate import prometheus, request_series, what_if
from aiapi_operator.simulate.prometheus import PrometheusError, Rates
from aiapi_operator.simulate.request_series import Series, Workload
from aiapi_operator.simulate.scenario import ServiceModel
from aiapi_operator.simulate.traces import Trace
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.spec import sizing_spec

_PERCENTILE = 95.0
_WINDOW = "5m"
_ANY_APP = "app.main:app"
"""Stands for the app where the command does not name it: its size does not depend on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """A Prometheus, and the time to read."""

    url: str
    last: float
    step: float | None = None
    token_file: Path | None = None
    ca_file: Path | None = None

    def rates(self, query: str) -> Rates:
        """The values of a query."""
        return prometheus.fetch_rates(
            self.url,
            query,
            self.last,
            step=self.step,
            token_file=self.token_file,
            ca_file=self.ca_file,
        )

    def mean(self, query: str) -> float | None:
        """The mean of a query where it has samples; None if it has none."""
        try:
            values = self.rates(query).values
        except PrometheusError:
            return None
        return float(np.nanmean(values))

    def present(self, selector: str) -> dict[str, float]:
        """The metrics that have samples."""
        return prometheus.fetch_presence(
            self.url, selector, self.last, token_file=self.token_file, ca_file=self.ca_file
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The traffic of a Deployment, and what was found about it."""

    aiapi: AIApi
    """The AIApi that would replace it."""
    query: str
    source: str
    trace: Trace
    others: tuple[str, ...] = ()
    """Other sources that have the traffic, too."""
    service: ServiceModel | None = None
    pods: float
    """Mean number of pods."""
    pods_measured: bool
    workers: int
    """Workers per pod."""
    missing: tuple[str, ...] = field(default=())


def read(given: Belongings, source: Prometheus, query: str | None) -> Traffic:
    """Find and read the traffic. Raises ``PrometheusError`` if there is none."""
    adoption = converted(given, Choices(app=_ANY_APP))
    aiapi = validate(adoption.manifest)
    workload = _workload(given, aiapi.namespace)
    found = () if query else _find(source, workload)
    series = found[0] if found else None
    text = query or (series.query if series else "")
    rates = source.rates(text)
    service, missing = _service(source, workload, given, rates, series)
    pods = source.mean(request_series.pods_query(workload))
    if pods is None:
        missing = (*missing, "number of pods (kube_deployment_status_replicas): spec.replicas used")
    declared = given.deployment["spec"].get("replicas")
    return Traffic(
        aiapi=aiapi,
        query=text,
        source=series.source.name if series else "--query",
        trace=prometheus.as_trace(rates),
        others=tuple(each.source.name for each in found[1:]),
        service=service,
        pods=pods if pods is not None else float(1 if declared is None else declared),
        pods_measured=pods is not None,
        workers=adoption.pod_workers,
        missing=missing,
    )


def _workload(given: Belongings, namespace: str) -> Workload:
    containers = given.deployment["spec"]["template"]["spec"]["containers"]
    probes = [
        each.get(kind) or {}
        for each in containers
        for kind in ("livenessProbe", "readinessProbe", "startupProbe")
    ]
    paths = [(probe.get("httpGet") or {}).get("path", "") for probe in probes]
    return Workload(
        namespace=namespace,
        name=given.name,
        services=tuple(each["metadata"]["name"] for each in given.services),
        probe_paths=tuple(dict.fromkeys([*filter(lambda path: path not in ("", "/"), paths)])),
    )


def _find(source: Prometheus, workload: Workload) -> tuple[Series, ...]:
    present = {
        matchers: source.present(f"{{{request_series.pattern(counters)},{matchers}}}")
        for matchers, counters in request_series.selectors(workload).items()
    }
    found = request_series.found_series(workload, present)
    if not found:
        names = ", ".join(each.name for each in request_series.SOURCES)
        raise PrometheusError(
            f"{source.url}: no requests of Deployment {workload.name} in namespace"
            f" {workload.namespace} found in the last {format_duration(source.last)}. Looked for"
            f" {names}. Name the series with --query, as in --query"
            f" 'sum(rate(my_requests_total{{app=\"{workload.name}\"}}[2m]))'"
        )
    return found


def _service(
    source: Prometheus,
    workload: Workload,
    given: Belongings,
    rates: Rates,
    series: Series | None,
) -> tuple[ServiceModel | None, tuple[str, ...]]:
    """CPU per request stands for the loop time, because an async app computes on its loop."""
    missing = []
    app = chosen_container(
        given.deployment["spec"]["template"]["spec"]["containers"], Choices(), given.name
    )
    total = source.mean(request_series.cpu_query(workload, app["name"], _WINDOW))
    mean = float(np.nanmean(rates.values))
    if not total or not mean:
        missing.append("CPU of the pods (container_cpu_usage_seconds_total)")
    latency = series and source.mean(series.latency_query(_PERCENTILE, _WINDOW) or "vector(NaN)")
    if not latency:
        missing.append("latency histogram")
    if not total or not mean or not latency:
        return None, tuple(missing)
    return what_if.service_from_measures(total / mean, latency, _PERCENTILE), ()


def cost_now(found: Traffic, spec: AIApiSpec) -> float:
    """Cost of the Deployment's pods in the same time at the same prices."""
    sizing = sizing_spec(spec)
    pod = plan.pod_hourly_cost(sizing) + found.workers * plan.worker_hourly_cost(sizing)
    return found.pods * pod * found.trace.seconds / 3600


def lines(found: Traffic, now: float, right_sized: float) -> list[str]:
    """What was read, and what would be saved."""
    pods = "measured" if found.pods_measured else "spec.replicas, not measured"
    currency = found.aiapi.spec.cost.currency
    saved = percent(saving(now, right_sized))
    compared = (
        f"Now: {number(found.pods, digits=3)} pods ({pods}) x {found.workers} workers:"
        f" {number(now, digits=4)} {currency}. Right-sized:"
        f" {number(right_sized, digits=4)} {currency}, saved: {saved}"
    )
    shown = ["", f"Traffic from {found.source}: {found.query}", compared]
    if found.others:
        shown.append(f"Also found, not used: {', '.join(found.others)}")
    return shown + [f"note: not in Prometheus: {each}" for each in found.missing]


def saving(now: float, right_sized: float) -> float | None:
    """Fraction of the cost that an AIApi would save; negative if it would cost more."""
    return 1 - right_sized / now if now > 0 else None


def document(found: Traffic, now: float, right_sized: float) -> dict[str, Any]:
    """The JSON form of ``lines``."""
    return {
        "traffic": {"source": found.source, "query": found.query, "others": list(found.others)},
        "now": {
            "pods": found.pods,
            "podsMeasured": found.pods_measured,
            "workers": found.workers,
            "cost": now,
            "saved": saving(now, right_sized),
        },
        "missing": list(found.missing),
    }
