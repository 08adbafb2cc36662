"""Why one AIApi scaled."""

from panels import (
    DIAGNOSES,
    ONE,
    RATE,
    Page,
    Panel,
    Query,
    lines,
    more,
    namespaces,
    of,
    page,
    stacked,
    states,
    variable,
    with_panels,
)


def dashboard() -> Page:
    """The dashboard with its panels."""
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
