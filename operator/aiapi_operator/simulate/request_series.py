"""Finds the requests of a Deployment among the metrics that people have. Pure.

The metrics closest to the app come first: what a mesh or an ingress counts may be only a part of
the traffic, and may include retries.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

RATE_WINDOW = "2m"
"""Two scrapes at the slowest usual interval of 60 s."""
MIN_SHARE = 0.05
"""Minimum fraction of the time with samples; less is an experiment or another workload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The Deployment, by the names that labels of metrics have."""

    namespace: str
    name: str
    services: tuple[str, ...] = ()
    probe_paths: tuple[str, ...] = ()
    """Paths of its probes, which are not traffic."""

    @property
    def pods(self) -> str:
        """A pattern of its pods' names: the ReplicaSet's hash and five characters."""
        return f"{_escaped(self.name)}-[a-z0-9]+-[a-z0-9]{{5}}"

    @property
    def names(self) -> str:
        """A pattern of its own name and those of its Services."""
        return "|".join(_escaped(name) for name in dict.fromkeys([self.name, *self.services]))


def _escaped(text: str) -> str:
    """The text within a regular expression within a string of PromQL."""
    return re.escape(text).replace("\\-", "-").replace("\\", "\\\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One instrumentation: the names of its counters, and how they name a workload."""

    name: str
    counters: tuple[str, ...]
    selectors: tuple[str, ...]
    """Label matchers, with {namespace}, {name}, {names}, {pods}. The first with samples counts."""
    path_label: str = ""
    histogram: str = ""
    """The latency histogram; its unit is in its name."""


_POD_LABELS = (
    'namespace="{namespace}",pod=~"{pods}"',
    'kubernetes_namespace="{namespace}",kubernetes_pod_name=~"{pods}"',
    'k8s_namespace_name="{namespace}",k8s_deployment_name="{name}"',
    'k8s_namespace_name="{namespace}",k8s_pod_name=~"{pods}"',
    'namespace="{namespace}",service=~"{names}"',
    'namespace="{namespace}",job=~"({namespace}/)?({names})"',
    'job=~"({namespace}/)?({names})"',
    'exported_job=~"({namespace}/)?({names})"',
    'service_name=~"{names}"',
)
_ISTIO = 'destination_workload_namespace="{namespace}",destination_workload="{name}"'
_INGRESS = (
    'exported_namespace="{namespace}",exported_service=~"{names}"',
    'namespace="{namespace}",service=~"{names}"',
)
_CLUSTER = 'envoy_cluster_name=~"(.*[^a-z0-9-])?{namespace}[^a-z0-9-].*?({names})([^a-z0-9-].*)?"'

SOURCES = (
    Source(
        name="prometheus-fastapi-instrumentator",
        counters=("http_requests_total",),
        selectors=_POD_LABELS,
        path_label="handler",
        histogram="http_request_duration_highr_seconds",
    ),
    Source(
        name="starlette_exporter",
        counters=("starlette_requests_total",),
        selectors=_POD_LABELS,
        path_label="path",
        histogram="starlette_request_duration_seconds",
    ),
    Source(
        name="OpenTelemetry (stable names)",
        counters=("http_server_request_duration_seconds_count",),
        selectors=_POD_LABELS,
        path_label="http_route",
        histogram="http_server_request_duration_seconds",
    ),
    Source(
        name="OpenTelemetry (old names)",
        counters=("http_server_duration_milliseconds_count", "http_server_duration_count"),
        selectors=_POD_LABELS,
        path_label="http_target",
        histogram="http_server_duration_milliseconds",
    ),
    Source(
        name="Istio",
        counters=("istio_requests_total",),
        selectors=(
            f'reporter="destination",{_ISTIO}',
            f'reporter="source",{_ISTIO}',
            f'reporter="waypoint",{_ISTIO}',
        ),
        histogram="istio_request_duration_milliseconds",
    ),
    Source(
        name="Linkerd",
        counters=("request_total", "response_total"),
        selectors=('direction="inbound",namespace="{namespace}",deployment="{name}"',),
        histogram="response_latency_ms",
    ),
    Source(
        name="ingress-nginx",
        counters=("nginx_ingress_controller_requests",),
        selectors=_INGRESS,
        histogram="nginx_ingress_controller_request_duration_seconds",
    ),
    Source(
        name="Envoy",
        counters=("envoy_cluster_upstream_rq_total", "envoy_cluster_upstream_rq"),
        selectors=(_CLUSTER,),
        histogram="envoy_cluster_upstream_rq_time",
    ),
    Source(
        name="Envoy (sidecar)",
        counters=("envoy_http_downstream_rq_total",),
        selectors=(
            'namespace="{namespace}",pod=~"{pods}",envoy_http_conn_manager_prefix!="admin"',
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The series of one source."""

    source: Source
    counter: str
    matchers: str
    share: float
    """Fraction of the time with samples."""
    probe_paths: tuple[str, ...] = ()

    @property
    def query(self) -> str:
        """Requests per second, without those of probes."""
        return f"sum(rate({self.counter}{{{self.matchers}{self._without_probes}}}[{RATE_WINDOW}]))"

    @property
    def _without_probes(self) -> str:
        if not (self.source.path_label and self.probe_paths):
            return ""
        paths = "|".join(_escaped(path) for path in self.probe_paths)
        return f',{self.source.path_label}!~"{paths}"'

    def latency_query(self, percentile: float, window: str) -> str:
        """A percentile of the latency, in seconds; empty without a histogram."""
        name = self.source.histogram
        if not name:
            return ""
        buckets = f"{name}_bucket{{{self.matchers}}}"
        quantile = (
            f"histogram_quantile({percentile / 100:g}, sum by (le) (rate({buckets}[{window}])))"
        )
        return quantile if name.endswith("_seconds") else f"{quantile} / 1000"


def selectors(workload: Workload) -> dict[str, tuple[str, ...]]:
    """The matchers to look for, each with the counters that can have them."""
    found: dict[str, list[str]] = {}
    for source in SOURCES:
        for matchers in source.selectors:
            found.setdefault(_filled(matchers, workload), []).extend(source.counters)
    return {matchers: tuple(names) for matchers, names in found.items()}


def _filled(matchers: str, workload: Workload) -> str:
    values = {
        "{namespace}": workload.namespace,
        "{name}": workload.name,
        "{names}": workload.names,
        "{pods}": workload.pods,
    }
    for mark, value in values.items():
        matchers = matchers.replace(mark, value)
    return matchers


def found_series(
    workload: Workload, present: Mapping[str, Mapping[str, float]]
) -> tuple[Series, ...]:
    """The series of each source that has any, best first.

    ``present`` has, by matchers, the counters with samples and the share of the time.
    """
    return tuple(
        series for source in SOURCES if (series := _series(source, workload, present)) is not None
    )


def _series(
    source: Source, workload: Workload, present: Mapping[str, Mapping[str, float]]
) -> Series | None:
    for matchers in source.selectors:
        filled = _filled(matchers, workload)
        shares = present.get(filled, {})
        for counter in source.counters:
            if shares.get(counter, 0.0) >= MIN_SHARE:
                return Series(
                    source=source,
                    counter=counter,
                    matchers=filled,
                    share=shares[counter],
                    probe_paths=workload.probe_paths,
                )
    return None


def pattern(names: Iterable[str]) -> str:
    """A matcher of metric names."""
    return f'__name__=~"{"|".join(names)}"'


def cpu_query(workload: Workload, container: str, window: str) -> str:
    """CPU seconds per second of the app's containers, from cAdvisor."""
    matchers = f'namespace="{workload.namespace}",pod=~"{workload.pods}",container="{container}"'
    return f"sum(rate(container_cpu_usage_seconds_total{{{matchers}}}[{window}]))"


def pods_query(workload: Workload) -> str:
    """The number of its pods, from kube-state-metrics."""
    matchers = f'namespace="{workload.namespace}",deployment="{workload.name}"'
    return f"max(kube_deployment_status_replicas{{{matchers}}})"
