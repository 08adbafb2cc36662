"""Cost, and cost of a static fleet."""

from panels import (
    MANY,
    Page,
    Panel,
    Query,
    lines,
    namespaces,
    number,
    of,
    page,
    stacked,
    with_panels,
)


def dashboard() -> Page:
    """The dashboard with its panels."""
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
