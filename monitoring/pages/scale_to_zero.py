"""AIApis at zero, and what it costs those who wake them."""

from panels import (
    MANY,
    RATE,
    Page,
    Panel,
    Query,
    lines,
    more,
    namespaces,
    number,
    of,
    page,
    stacked,
    with_panels,
)


def dashboard() -> Page:
    """The dashboard with its panels."""
    description = "AIApis without pods, requests that wait for them, and cold starts."
    made = page("zero", "AIApi / Scale to zero", description, [namespaces(several=True)])
    return with_panels(made, [*_phases(), *_held(), *_cold_starts()])


def _in_phase(phase: str) -> str:
    which = more(MANY, f'phase="{phase}"')
    return f"sum({of('activation_phase', which)})"


def _held_by(activator: str, which: str) -> str:
    return f"sum(aiapi_activator_{activator}{which})"


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
            Query(f"sum by (phase) ({of('activation_phase', MANY)})", "{{phase}}"),
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
            Query(f"sum by (namespace, name) (aiapi_activator_held_requests{MANY})", each),
        ),
        stacked(
            "Requests through activators",
            "Requests that ended, by outcome. All but proxied were answered by the activator.",
            "reqps",
            Query(f"sum by (outcome) ({requests})", "{{outcome}}"),
        ),
    ]


def _cold_starts() -> list[Panel]:
    waited = f"sum by (le) (rate(aiapi_activator_cold_start_seconds_bucket{MANY}{RATE}))"
    return [
        lines(
            "Cold starts",
            "Time that held requests waited for a pod.",
            "s",
            Query(f"histogram_quantile(0.5, {waited})", "median"),
            Query(f"histogram_quantile(0.95, {waited})", "95th"),
        ),
        lines(
            "Wake-ups",
            "Wake-ups per hour. Frequent ones make an AIApi stay up longer.",
            "short",
            Query(
                f"sum by (namespace, name) (increase(aiapi_activator_wakes_total{MANY}[1h]))",
                "{{namespace}}/{{name}}",
            ),
        ),
    ]
