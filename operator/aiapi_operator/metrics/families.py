"""The metric families with series of each AIApi: name, type, help text and label."""

from dataclasses import KW_ONLY, dataclass

PREFIX = "aiapi_operator_"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family. Its series have the labels ``namespace`` and ``name``."""

    name: str
    help: str
    _: KW_ONLY
    kind: str = "gauge"
    label: str = ""
    """A further label; empty if there is none."""

    @property
    def full_name(self) -> str:
        """The name of its series."""
        return f"{PREFIX}{self.name}{'_total' if self.kind == 'counter' else ''}"


def _counter(name: str, text: str, label: str = "") -> Family:
    return Family(name, text, kind="counter", label=label)


PLAIN = (
    Family(
        "demand_requests_per_second",
        "Requests per second expected when new capacity would serve.",
    ),
    Family("arrivals_per_second", "Requests that arrive per second, including shed requests."),
    Family("in_flight_requests", "Requests in flight, averaged over the fast window."),
    Family("need_workers", "Workers that the load needs, before limits and stabilisation."),
    Family("wanted_workers", "Decided number of workers in the whole fleet."),
    Family("actual_workers", "Workers that serve, in all pods that answered."),
    Family("wanted_replicas", "Decided number of pods."),
    Family("actual_replicas", "Ready pods."),
    Family("max_workers", "Maximum number of workers that the spec allows in the whole fleet."),
    Family("loop_utilization_ratio", "Loop utilisation of the busiest pod."),
    Family("target_utilization_ratio", "Target loop utilisation."),
    Family("service_demand_seconds", "Loop time per request."),
    Family("upstream_share_ratio", "Share of the requests' time spent waiting for upstreams."),
    Family("threads_busy_ratio", "Share of busy threads, where requests need threads."),
    Family("savings_ratio", "Share of the static baseline's cost that is saved."),
    Family("savings_cores", "Average CPU cores saved against the static baseline."),
    Family("failing_ratio", "Share of the requests of the last minute that failed."),
    Family("last_tick_timestamp_seconds", "Unix time of the last successful tick."),
    _counter("scrape_failures", "Scrapes of ready pods that returned no sample."),
)
"""Families with one series per AIApi."""

LABELLED = (
    Family("objective_seconds", "Threshold of the objective.", label="objective"),
    Family(
        "objective_ratio",
        "Share of requests that the objective requires within its threshold.",
        label="objective",
    ),
    Family(
        "latency_seconds",
        "Latency, or time to the first byte, at the objective's percentile.",
        label="objective",
    ),
    Family(
        "binding",
        "1 for the constraint that determines the need, 0 for the others.",
        label="constraint",
    ),
    Family(
        "activation_phase",
        "1 for the phase of an AIApi that may go to zero, 0 for the others.",
        label="phase",
    ),
    Family("condition", "1 while a condition is true, 0 while it is false.", label="type"),
    Family("cost_per_hour", "Average hourly cost of the pods that ran.", label="currency"),
    Family("baseline_cost_per_hour", "Hourly cost of the static baseline.", label="currency"),
    _counter("decisions", "Decisions by reason, including those without a change.", "reason"),
    _counter("requests", "Requests to the fleet by outcome.", "outcome"),
    _counter(
        "failed_requests",
        "Requests that failed by kind; cancelled only where the service was the cause.",
        "kind",
    ),
    _counter(
        "measured_requests",
        "Requests whose time was measured, and failed requests, by objective.",
        "objective",
    ),
    _counter(
        "within_objective_requests",
        "Requests answered within the objective's threshold.",
        "objective",
    ),
    _counter("ticks", "Ticks by outcome: ok or a kind of failure.", "outcome"),
)
"""Families with one series per AIApi and value of the further label."""
