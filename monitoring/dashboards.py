"""The Grafana dashboards as code.

python monitoring/dashboards.py          # writes charts/aiapi-operator/files/dashboards/*.json
python monitoring/dashboards.py --check  # fails when they would change

A test runs every query against a real Prometheus and wants data back.
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
    """All AIApis at a glance."""
    title, told = "AIApi / Fleet overview", "All AIApis: how they do, and what they run."
    made = page("fleet", title, told, [namespaces(several=True)])
    ratio = f"{of('within_objective_requests_total', MANY)}{RATE}"
    columns = {
        "requests/s": ("reqps", of("arrivals_per_second", MANY)),
        "latency": ("s", of("latency_seconds", MANY)),
        "objective": ("s", of("objective_seconds", MANY)),
        "loop utilisation": ("percentunit", of("loop_utilization_ratio", MANY)),
        "need": ("short", of("need_workers", MANY)),
        "workers": ("short", of("actual_workers", MANY)),
        "pods": ("short", of("actual_replicas", MANY)),
        "saved": ("percentunit", of("savings_ratio", MANY)),
    }
    keep = "sum by (namespace, name) ({})"
    panels: list[Panel] = [
        number(
            "AIApis", "AIApis that are looked after.", "short", f"count({of('need_workers', MANY)})"
        ),
        number(
            "Not Ready",
            "AIApis whose Ready condition is false.",
            "short",
            f"count({of('condition', READY)} == 0) or vector(0)",
        ),
        number("Workers", "Workers that serve.", "short", f"sum({of('actual_workers', MANY)})"),
        number("Pods", "Pods that are ready.", "short", f"sum({of('actual_replicas', MANY)})"),
        number(
            "Requests",
            "Arrivals in all fleets.",
            "reqps",
            f"sum({of('arrivals_per_second', MANY)})",
        ),
        number(
            "Cores saved",
            "Against the static baselines.",
            "short",
            f"sum({of('savings_cores', MANY)})",
        ),
        rows(
            "AIApis",
            "What each carries, needs and runs.",
            {name: (unit, keep.format(expr)) for name, (unit, expr) in columns.items()},
        ),
        lines(
            "Within the objective",
            "Part of the requests answered within the objective.",
            "percentunit",
            Query(
                f"sum by (namespace, name) (rate({ratio})) / sum by (namespace, name)"
                f" (rate({of('measured_requests_total', MANY)}{RATE}))",
                "{{namespace}}/{{name}}",
            ),
        ),
        stacked(
            "Workers",
            "Workers that serve.",
            "short",
            Query(
                f"sum by (namespace, name) ({of('actual_workers', MANY)})", "{{namespace}}/{{name}}"
            ),
        ),
        states(
            "Diagnoses",
            "What no autoscaler can mend, and when it was true.",
            Query(
                f"max by (namespace, name, type) ({of('condition', more(MANY, DIAGNOSES))})",
                "{{namespace}}/{{name}} {{type}}",
            ),
        ),
    ]
    return with_panels(made, panels)


def aiapi() -> Page:
    """Why one AIApi scaled."""
    told = "One AIApi: what came, what it needed, what was decided, and why."
    names = 'label_values(aiapi_operator_ticks_total{namespace="$namespace"}, name)'
    made = page(
        "aiapi",
        "AIApi / Why did it scale",
        told,
        [namespaces(several=False), variable("name", names)],
    )
    panels: list[Panel] = [
        lines(
            "Demand",
            "Arrivals now, and as they are expected when new capacity would serve.",
            "reqps",
            Query(of("arrivals_per_second", ONE), "arrivals"),
            Query(of("demand_requests_per_second", ONE), "demand"),
        ),
        lines(
            "Latency against the objective",
            "At the objective's percentile.",
            "s",
            Query(of("latency_seconds", ONE), "measured"),
            Query(of("objective_seconds", ONE), "objective"),
        ),
        lines(
            "Workers",
            "Needed before limits, wanted by the decision, and serving.",
            "short",
            Query(of("need_workers", ONE), "need"),
            Query(of("wanted_workers", ONE), "wanted"),
            Query(of("actual_workers", ONE), "serving"),
            Query(of("max_workers", ONE), "limit"),
        ),
        lines(
            "Pods",
            "Wanted by the decision, and ready.",
            "short",
            Query(of("wanted_replicas", ONE), "wanted"),
            Query(of("actual_replicas", ONE), "ready"),
        ),
        states(
            "What binds",
            "The constraint that set the need.",
            Query(of("binding", ONE), "{{constraint}}"),
            width=12,
        ),
        states(
            "Diagnoses",
            "Conditions that were true.",
            Query(of("condition", more(ONE, DIAGNOSES)), "{{type}}"),
            width=12,
        ),
        stacked(
            "Decisions",
            "Decisions a minute by reason.",
            "short",
            Query(f"sum by (reason) (rate({of('decisions_total', ONE)}{RATE})) * 60", "{{reason}}"),
        ),
        lines(
            "Loop utilisation",
            "Of the busiest pod, and what is aimed at.",
            "percentunit",
            Query(of("loop_utilization_ratio", ONE), "busiest pod"),
            Query(of("target_utilization_ratio", ONE), "aim"),
        ),
        lines(
            "Service demand",
            "Loop time that a request costs. A release that makes it dearer shows here.",
            "s",
            Query(of("service_demand_seconds", ONE), "loop time a request"),
            width=8,
        ),
        lines(
            "Waiting",
            "Part of the requests' time that is spent waiting for upstreams, and of threads that"
            " are busy where requests need them.",
            "percentunit",
            Query(of("upstream_share_ratio", ONE), "upstreams"),
            Query(of("threads_busy_ratio", ONE), "threads busy"),
            width=8,
        ),
        stacked(
            "Requests",
            "By outcome.",
            "reqps",
            Query(f"sum by (outcome) (rate({of('requests_total', ONE)}{RATE}))", "{{outcome}}"),
            width=8,
        ),
    ]
    return with_panels(made, panels)


def operator() -> Page:
    """Whether the operator itself is well."""
    made = page(
        "operator", "AIApi / Operator health", "The operator: leadership, ticks, scrapes, API.", []
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
            "One acts; zero means that nothing is resized.",
            "short",
            f"sum({of('leader')})",
            width=6,
        ),
        number(
            "Operators", "Operators that are scraped.", "short", f"count({of('leader')})", width=6
        ),
        number(
            "Oldest tick",
            "Since the AIApi that waits longest was looked at.",
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
            "How late ticks begin",
            "A lag of seconds means too little CPU.",
            "s",
            Query(quantile.format(0.5, lag), "median"),
            Query(quantile.format(0.99, lag), "99th"),
        ),
        lines(
            "How long ticks take",
            "Scrape, decision and writes.",
            "s",
            Query(quantile.format(0.5, ticks), "median"),
            Query(quantile.format(0.99, ticks), "99th"),
        ),
        lines(
            "Ticks",
            "By outcome.",
            "ops",
            Query(f"sum by (outcome) (rate({of('ticks_total')}{RATE}))", "{{outcome}}"),
        ),
        lines(
            "Scrapes of pods",
            "How long they take, and how many give nothing.",
            "s",
            Query(quantile.format(0.5, scrapes), "median"),
            Query(quantile.format(0.99, scrapes), "99th"),
        ),
        lines(
            "Scrapes that failed",
            "Of pods that are ready.",
            "ops",
            Query(f"sum(rate({of('scrape_failures_total')}{RATE}))", "failed"),
        ),
        lines(
            "Requests to the Kubernetes API",
            "By verb.",
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
    """What it costs, and what a static fleet would cost."""
    told = "What ran, against static fleets: of the peak seen, or as the spec's baseline says."
    made = page("savings", "AIApi / Cost and savings", told, [namespaces(several=True)])
    cost, static = of("cost_per_hour", MANY), of("baseline_cost_per_hour", MANY)
    each = "{{namespace}}/{{name}}"
    panels: list[Panel] = [
        number(
            "Cost an hour",
            "Mean price of what ran.",
            "short",
            f"sum by (currency) ({cost})",
            width=6,
        ),
        number(
            "Static fleets an hour",
            "Price of the baselines.",
            "short",
            f"sum by (currency) ({static})",
            width=6,
        ),
        number(
            "Saved a month",
            "At 730 hours a month.",
            "short",
            f"sum by (currency) ({static} - {cost}) * 730",
            width=6,
        ),
        number(
            "Saved",
            "Part of the baselines' price.",
            "percentunit",
            f"1 - sum({cost}) / sum({static})",
            width=6,
        ),
        lines(
            "Cost an hour",
            "What ran, and the static fleets.",
            "short",
            Query(f"sum({cost})", "ran"),
            Query(f"sum({static})", "static"),
        ),
        stacked(
            "Cores saved",
            "Mean cores saved by AIApi.",
            "short",
            Query(f"sum by (namespace, name) ({of('savings_cores', MANY)})", each),
        ),
        stacked(
            "Cost an hour by AIApi",
            "Mean price of what ran.",
            "short",
            Query(f"sum by (namespace, name) ({cost})", each),
        ),
        lines(
            "Saved by AIApi",
            "Part of its baseline's price.",
            "percentunit",
            Query(of("savings_ratio", MANY), each),
        ),
    ]
    return with_panels(made, panels)


PAGES: dict[str, Callable[[], Page]] = {
    "fleet-overview": fleet,
    "why-did-it-scale": aiapi,
    "operator-health": operator,
    "cost-and-savings": savings,
}


def generated() -> dict[str, str]:
    """The files by name."""
    return {
        f"{name}.json": json.dumps(make().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for name, make in PAGES.items()
    }


def main() -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description="Make the Grafana dashboards.")
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    only_check = parser.parse_args().check
    FOLDER.mkdir(exist_ok=True)
    for name, text in generated().items():
        path = FOLDER / name
        if only_check and (not path.exists() or path.read_text() != text):
            sys.exit(f"{path} is not up to date: run 'make dashboards'")
        path.write_text(text)


if __name__ == "__main__":
    main()
