"""Overview of all AIApis."""

from panels import (
    DIAGNOSES,
    MANY,
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
    with_panels,
)


def dashboard() -> Page:
    """The dashboard with its panels."""
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
            f"sum({of('condition', READY)} == bool 0)",
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
