"""Generates the Grafana dashboards.

python monitoring/dashboards.py          # writes charts/aiapi-operator/files/dashboards/*.json
python monitoring/dashboards.py --check  # fails when they are out of date

A test runs every query against a real Prometheus and expects data.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from panels import (
    DIAGNOSES,
    MANY,
    ONE,
    RATE,
    READY,
    Page,
    Panel,
    Query,
    lines,
    more,
    namespaces,
    number,
    of,
    page,
    rows,
    stacked,
    states,
    variable,
    with_panels,
)

FOLDER = Path(__file__).parents[1] / "charts" / "aiapi-operator" / "files" / "dashboards"


def fleet() -> Page:
    """Overview of all AIApis."""
    title, description = "AIApi / Fleet overview", "Load, latency and size of all AIApis."
    made = page("fleet", title, description, [namespaces(several=True)])
    ratio = f"{of('within_objective_requests_total', MANY)}{RATE}"
    worst = "max by (namespace, name) ({})"
    measured, threshold = of("latency_seconds", MANY), of("objective_seconds", MANY)
    columns = {
        "requests/s": ("reqps", of("arrivals_per_second", MANY)),
        "latency": ("s", worst.format(of("latency_seconds", MANY))),
        "objective": ("s", worst.format(of("objective_seconds", MANY))),
        "of objective": ("percentunit", worst.format(f"{measured} / {threshold}")),
        "errors": ("percentunit", of("failing_ratio", MANY)),
        "loop utilization": ("percentunit", of("loop_utilization_ratio", MANY)),
        "need": ("short", of("need_workers", MANY)),
        "workers": ("short", of("actual_workers", MANY)),
        "pods": ("short", of("actual_replicas", MANY)),
        "saved": ("percentunit", of("savings_ratio", MANY)),
    }
    keep = "sum by (namespace, name) ({})"
    panels: list[Panel] = [
        number("AIApis", "Managed AIApis.", "short", f"count({of('need_workers', MANY)})"),
        number(
            "Not Ready",
            "AIApis whose Ready condition is False.",
            "short",
            f"count({of('condition', READY)} == 0) or vector(0)",
        ),
        number("Workers", "Serving workers.", "short", f"sum({of('actual_workers', MANY)})"),
        number("Pods", "Ready pods.", "short", f"sum({of('actual_replicas', MANY)})"),
        number(
            "Requests",
            "Arrivals at all fleets.",
            "reqps",
            f"sum({of('arrivals_per_second', MANY)})",
        ),
        number(
            "Cores saved",
            "Cores saved relative to the static baselines.",
            "short",
            f"sum({of('savings_cores', MANY)})",
        ),
        rows(
            "AIApis",
            "Load, need and size of each AIApi.",
            {name: (unit, keep.format(expr)) for name, (unit, expr) in columns.items()},
        ),
        lines(
            "Within the objective",
            "Share of requests that meet each objective. Failed requests miss it.",
            "percentunit",
            Query(
                f"sum by (namespace, name, objective) (rate({ratio}))"
                f" / sum by (namespace, name, objective)"
                f" (rate({of('measured_requests_total', MANY)}{RATE}))",
                "{{namespace}}/{{name}} {{objective}}",
            ),
        ),
        lines(
            "Errors",
            "Share of requests that failed in the last minute: server errors, shed requests, and"
            " requests cancelled while event loops were busy.",
            "percentunit",
            Query(keep.format(of("failing_ratio", MANY)), "{{namespace}}/{{name}}"),
        ),
        stacked(
            "Workers",
            "Serving workers.",
            "short",
            Query(
                f"sum by (namespace, name) ({of('actual_workers', MANY)})", "{{namespace}}/{{name}}"
            ),
        ),
        states(
            "Diagnoses",
            "Conditions that report a problem, over time.",
            Query(
                f"max by (namespace, name, type) ({of('condition', more(MANY, DIAGNOSES))})",
                "{{namespace}}/{{name}} {{type}}",
            ),
        ),
    ]
    return with_panels(made, panels)


def aiapi() -> Page:
    """Why one AIApi scaled."""
    description = "Demand, need and decisions of one AIApi."
    names = 'label_values(aiapi_operator_ticks_total{namespace="$namespace"}, name)'
    made = page(
        "aiapi",
        "AIApi / Why did it scale",
        description,
        [namespaces(several=False), variable("name", names)],
    )
    panels: list[Panel] = [
        lines(
            "Demand",
            "Current arrivals, and the forecast for when new capacity would be ready.",
            "reqps",
            Query(of("arrivals_per_second", ONE), "arrivals"),
            Query(of("demand_requests_per_second", ONE), "demand"),
        ),
        lines(
            "Latency and objective",
            "Latency, or time to the first byte, at the percentile of each objective.",
            "s",
            Query(of("latency_seconds", ONE), "{{objective}}"),
            Query(of("objective_seconds", ONE), "{{objective}} objective"),
        ),
        lines(
            "Workers",
            "Needed before limits, desired by the decision, and serving.",
            "short",
            Query(of("need_workers", ONE), "need"),
            Query(of("wanted_workers", ONE), "desired"),
            Query(of("actual_workers", ONE), "serving"),
            Query(of("max_workers", ONE), "limit"),
        ),
        lines(
            "Pods",
            "Desired by the decision, and ready.",
            "short",
            Query(of("wanted_replicas", ONE), "desired"),
            Query(of("actual_replicas", ONE), "ready"),
        ),
        states(
            "Binding constraint",
            "The constraint that determines the need.",
            Query(of("binding", ONE), "{{constraint}}"),
            width=12,
        ),
        states(
            "Diagnoses",
            "Conditions that are True.",
            Query(of("condition", more(ONE, DIAGNOSES)), "{{type}}"),
            width=12,
        ),
        stacked(
            "Decisions",
            "Decisions per minute, by reason.",
            "short",
            Query(f"sum by (reason) (rate({of('decisions_total', ONE)}{RATE})) * 60", "{{reason}}"),
        ),
        lines(
            "Loop utilization",
            "Loop utilization of the busiest pod, and the target.",
            "percentunit",
            Query(of("loop_utilization_ratio", ONE), "busiest pod"),
            Query(of("target_utilization_ratio", ONE), "target"),
        ),
        lines(
            "Service demand",
            "Loop time per request. A release that makes requests more expensive shows here.",
            "s",
            Query(of("service_demand_seconds", ONE), "loop time per request"),
            width=8,
        ),
        lines(
            "Waiting",
            "Share of request time spent waiting for upstreams, and share of threads that are busy"
            " if requests use threads.",
            "percentunit",
            Query(of("upstream_share_ratio", ONE), "upstreams"),
            Query(of("threads_busy_ratio", ONE), "threads busy"),
            width=8,
        ),
        stacked(
            "Requests",
            "Requests by outcome.",
            "reqps",
            Query(f"sum by (outcome) (rate({of('requests_total', ONE)}{RATE}))", "{{outcome}}"),
            width=8,
        ),
        stacked(
            "Errors",
            "Share of requests that failed, by kind. Cancelled requests count while event loops are"
            " busy, or when most requests are cancelled.",
            "percentunit",
            Query(
                f"sum by (kind) (rate({of('failed_requests_total', ONE)}{RATE})) / scalar(sum("
                f"rate({of('requests_total', ONE)}{RATE})))",
                "{{kind}}",
            ),
        ),
    ]
    return with_panels(made, panels)


def operator() -> Page:
    """Health of the operator."""
    made = page(
        "operator",
        "AIApi / Operator health",
        "Leadership, ticks, scrapes and API requests of the operator.",
        [],
    )
    quantile = "histogram_quantile({}, sum by (le) (rate({}_bucket[$__rate_interval])))"
    lag, ticks, scrapes = (
        of("tick_lag_seconds"),
        of("tick_duration_seconds"),
        of("scrape_duration_seconds"),
    )
    calls = of("api_request_duration_seconds")
    failed = f'sum(rate({calls}_count{{outcome=~"403|5..|error"}}{RATE})) or vector(0)'
    panels: list[Panel] = [
        number(
            "Leaders",
            "Operators that hold the Lease. At zero, nothing is resized.",
            "short",
            f"sum({of('leader')})",
            width=6,
        ),
        number("Operators", "Scraped operators.", "short", f"count({of('leader')})", width=6),
        number(
            "Oldest tick",
            "Longest time since an AIApi was reconciled.",
            "s",
            f"max(time() - {of('last_tick_timestamp_seconds')})",
            width=6,
        ),
        number(
            "Versions",
            "Operators by version.",
            "short",
            f"count by (version) ({of('build_info')})",
            width=6,
        ),
        lines(
            "Tick lag",
            "Delay of ticks. A delay of seconds indicates a lack of CPU.",
            "s",
            Query(quantile.format(0.5, lag), "median"),
            Query(quantile.format(0.99, lag), "99th"),
        ),
        lines(
            "Tick duration",
            "Time of a tick: scrape, decision and writes.",
            "s",
            Query(quantile.format(0.5, ticks), "median"),
            Query(quantile.format(0.99, ticks), "99th"),
        ),
        lines(
            "Ticks",
            "Ticks by outcome.",
            "ops",
            Query(f"sum by (outcome) (rate({of('ticks_total')}{RATE}))", "{{outcome}}"),
        ),
        lines(
            "Scrape duration",
            "Time to scrape a pod.",
            "s",
            Query(quantile.format(0.5, scrapes), "median"),
            Query(quantile.format(0.99, scrapes), "99th"),
        ),
        lines(
            "Failed scrapes",
            "Failed scrapes of ready pods.",
            "ops",
            Query(f"sum(rate({of('scrape_failures_total')}{RATE}))", "failed"),
        ),
        lines(
            "Kubernetes API requests",
            "Requests by verb, and failed requests.",
            "reqps",
            Query(f"sum by (verb) (rate({calls}_count{RATE}))", "{{verb}}"),
            Query(failed, "failed"),
        ),
        lines(
            "CPU",
            "Cores used by each operator.",
            "short",
            Query(
                f"rate(process_cpu_seconds_total{RATE}) and on (instance) {of('leader')}",
                "{{instance}}",
            ),
        ),
        lines(
            "Memory",
            "Resident memory of each operator.",
            "bytes",
            Query(
                f"process_resident_memory_bytes and on (instance) {of('leader')}", "{{instance}}"
            ),
        ),
    ]
    return with_panels(made, panels)


def savings() -> Page:
    """Cost, and cost of a static fleet."""
    description = (
        "Cost relative to static fleets, sized for the busiest minute of answered requests or by"
        " spec.cost.baseline."
    )
    made = page("savings", "AIApi / Cost and savings", description, [namespaces(several=True)])
    cost, static = of("cost_per_hour", MANY), of("baseline_cost_per_hour", MANY)
    # There is no savings_ratio while requests fail or the objective is missed.
    shown = f"and on (namespace, name) {of('savings_ratio', MANY)}"
    each = "{{namespace}}/{{name}}"
    panels: list[Panel] = [
        number(
            "Cost per hour",
            "Mean cost of running pods.",
            "short",
            f"sum by (currency) ({cost})",
            width=6,
        ),
        number(
            "Static cost per hour",
            "Cost of the static baselines.",
            "short",
            f"sum by (currency) ({static})",
            width=6,
        ),
        number(
            "Saved per month",
            "Savings at 730 hours per month, without AIApis that fail or miss their objective now.",
            "short",
            f"sum by (currency) (({static} - {cost}) {shown}) * 730",
            width=6,
        ),
        number(
            "Saved",
            "Savings as a share of the baseline cost, without AIApis that fail or miss their"
            " objective now.",
            "percentunit",
            f"1 - sum({cost} {shown}) / sum({static} {shown})",
            width=6,
        ),
        lines(
            "Cost per hour",
            "Cost of running pods and of the static baselines.",
            "short",
            Query(f"sum({cost})", "actual"),
            Query(f"sum({static})", "static"),
        ),
        stacked(
            "Cores saved",
            "Mean cores saved, by AIApi.",
            "short",
            Query(f"sum by (namespace, name) ({of('savings_cores', MANY)})", each),
        ),
        stacked(
            "Cost per hour by AIApi",
            "Mean cost of running pods.",
            "short",
            Query(f"sum by (namespace, name) ({cost})", each),
        ),
        lines(
            "Saved by AIApi",
            "Savings as a share of the baseline cost. Absent while requests fail or the objective"
            " is missed.",
            "percentunit",
            Query(of("savings_ratio", MANY), each),
        ),
    ]
    return with_panels(made, panels)


def zero() -> Page:
    """AIApis at zero, and what it costs those who wake them."""
    description = "AIApis without pods, requests that wait for them, and cold starts."
    made = page("zero", "AIApi / Scale to zero", description, [namespaces(several=True)])
    return with_panels(made, [*_phases(), *_held(), *_cold_starts()])


def _in_phase(phase: str) -> str:
    which = more(MANY, f'phase="{phase}"')
    return f"sum({of('activation_phase', which)}) or vector(0)"


def _held_by(activator: str, which: str) -> str:
    return f"sum(aiapi_activator_{activator}{which}) or vector(0)"


def _phases() -> list[Panel]:
    waking = "AIApis whose first pod starts."
    return [
        number("Asleep", "AIApis without pods.", "short", _in_phase("Asleep"), width=6),
        number("Waking", waking, "short", _in_phase("Waking"), width=6),
        number(
            "Held",
            "Requests that wait for a pod.",
            "short",
            _held_by("held_requests", MANY),
            width=6,
        ),
        number(
            "Connections",
            "Open connections of clients to activators.",
            "short",
            _held_by("connections", MANY),
            width=6,
        ),
        stacked(
            "Phases",
            "AIApis that may go to zero, by phase.",
            "short",
            Query(f"sum by (phase) ({of('activation_phase', MANY)}) or vector(0)", "{{phase}}"),
        ),
    ]


def _held() -> list[Panel]:
    each = "{{namespace}}/{{name}}"
    requests = f"rate(aiapi_activator_requests_total{MANY}{RATE})"
    return [
        lines(
            "Held requests",
            "Requests that wait for a pod. They should go to one within seconds.",
            "short",
            Query(
                f"sum by (namespace, name) (aiapi_activator_held_requests{MANY}) or vector(0)", each
            ),
        ),
        stacked(
            "Requests through activators",
            "Requests that ended, by outcome. All but proxied were answered by the activator.",
            "reqps",
            Query(f"sum by (outcome) ({requests}) or vector(0)", "{{outcome}}"),
        ),
    ]


def _cold_starts() -> list[Panel]:
    waited = f"sum by (le) (rate(aiapi_activator_cold_start_seconds_bucket{MANY}{RATE}))"
    return [
        lines(
            "Cold starts",
            "Time that held requests waited for a pod.",
            "s",
            Query(f"histogram_quantile(0.5, {waited}) or vector(0)", "median"),
            Query(f"histogram_quantile(0.95, {waited}) or vector(0)", "95th"),
        ),
        lines(
            "Wake-ups",
            "Wake-ups per hour. Frequent ones make an AIApi stay up longer.",
            "short",
            Query(
                f"sum by (namespace, name) (increase(aiapi_activator_wakes_total{MANY}[1h]))"
                " or vector(0)",
                "{{namespace}}/{{name}}",
            ),
        ),
    ]


PAGES: dict[str, Callable[[], Page]] = {
    "fleet-overview": fleet,
    "why-did-it-scale": aiapi,
    "operator-health": operator,
    "cost-and-savings": savings,
    "scale-to-zero": zero,
}


def generated() -> dict[str, str]:
    """File contents by name."""
    return {
        f"{name}.json": json.dumps(make().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for name, make in PAGES.items()
    }


def main() -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description="Generate the Grafana dashboards.")
    parser.add_argument(
        "--check", action="store_true", help="only check whether they are up to date"
    )
    only_check = parser.parse_args().check
    FOLDER.mkdir(exist_ok=True)
    for name, text in generated().items():
        path = FOLDER / name
        if only_check and (not path.exists() or path.read_text() != text):
            sys.exit(f"{path} is out of date: run 'make dashboards'")
        path.write_text(text)


if __name__ == "__main__":
    main()
