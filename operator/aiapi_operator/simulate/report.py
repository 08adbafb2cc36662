"""The comparison as a table and as JSON."""

from math import isfinite
from typing import Any

from rich.console import Console
from rich.table import Table

from aiapi_operator.api.duration import format_duration
from aiapi_operator.simulate.cold_starts import ColdStarts
from aiapi_operator.simulate.compare import Comparison
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.sizing.inputs import LatencyObjective

COLUMNS = (
    "policy",
    "windows met",
    "requests met",
    "core-hours",
    "vs oracle",
    "p50",
    "p95",
    "p99",
    "shed",
    "failed",
    "reversals/h",
    "max workers",
    "decide",
)
COLD_COLUMNS = (
    "cold starts",
    "asleep",
    "requests that met one",
    "late",
    "p50",
    "p95",
    "longest",
    "others: windows met",
    "late",
    "p95",
)
"""Beside the policy. Late is over the first objective's threshold, or without success."""


def introduction(comparison: Comparison) -> list[str]:
    """The inputs of the comparison, one per line."""
    load, spec = comparison.load, comparison.spec
    trace = load.trace
    asked_for = " and ".join(
        f"{each.name} within {1000 * each.threshold:g} ms" for each in spec.objectives
    )
    asked = (
        f"{trace.name}: {trace.requests:,.0f} requests in {trace.seconds / 3600:.2f} h,"
        f" {trace.peak_minute:.1f}/s in the busiest minute."
    )
    model = (
        f"Objective {asked_for};"
        f" {1000 * load.service.demand:g} ms of loop time per request; target utilization"
        f" {comparison.utilization:.2f}; other autoscalers: {comparison.pod_workers} workers per"
        f" pod; seed {load.seed}."
    )
    faults = [
        f"Fault: {fault.kind} from {fault.start:g} s"
        + (f" until {fault.end:g} s." if isfinite(fault.end) else " until the end.")
        for fault in load.faults.all
    ]
    return [
        asked,
        model,
        *_minimum(comparison),
        *faults,
        *(f"Note: {note}." for note in trace.notes),
    ]


def _minimum(comparison: Comparison) -> list[str]:
    after = comparison.to_zero_after
    if after is None:
        return []
    keep = [name for name in catalogue.NAMES if name not in catalogue.ASLEEP]
    return [
        (
            f"Minimum of 0 pods: aiapi stops after {format_duration(after)} without a request,"
            f" others by their own rules; {', '.join(keep)} keep a pod."
        )
    ]


def print_introduction(comparison: Comparison, console: Console) -> None:
    """Print the inputs of the comparison."""
    for line in introduction(comparison):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def table(comparison: Comparison) -> Table:
    """One row per policy."""
    result = Table(box=None, pad_edge=False)
    for index, column in enumerate(COLUMNS):
        result.add_column(column, justify="right" if index else "left", no_wrap=True)
    for each in comparison.results:
        result.add_row(*row(each, comparison.vs_oracle(each)))
    return result


def cold_table(comparison: Comparison) -> Table:
    """The requests that met a cold start, and the others; a row per policy that can sleep."""
    result = Table(box=None, pad_edge=False)
    for index, column in enumerate(("policy", *COLD_COLUMNS)):
        result.add_column(column, justify="right" if index else "left", no_wrap=True)
    for each in cold_rows(comparison):
        result.add_row(*each)
    return result


def cold_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """The formatted cells of ``cold_table``."""
    length = comparison.load.trace.seconds
    return [
        (each.policy, *_cold_row(each.cold_starts, length))
        for each in comparison.results
        if each.cold_starts is not None
    ]


def _cold_row(cold: ColdStarts, length: float) -> tuple[str, ...]:
    return (
        f"{cold.starts:,}",
        f"{100 * cold.asleep_seconds / length:.1f} %",
        f"{cold.requests:,}",
        f"{cold.late:,}",
        *(
            f"{seconds:.2f} s" if cold.requests else "-"
            for seconds in (cold.p50, cold.p95, cold.longest)
        ),
        f"{100 * cold.others_windows:.2f} %",
        f"{cold.others_late:,}",
        f"{1000 * cold.others_p95:.0f} ms",
    )


def row(result: RunResult, vs_oracle: float) -> tuple[str, ...]:
    """The formatted measures, in the order of ``COLUMNS``."""
    return (
        result.policy,
        f"{100 * result.attainment_windows:.2f} %",
        f"{100 * result.attainment_requests:.2f} %",
        f"{result.core_hours:,.1f}",
        f"{vs_oracle:.3f}",
        f"{1000 * result.p50:.0f} ms",
        f"{1000 * result.p95:.0f} ms",
        f"{1000 * result.p99:.0f} ms",
        f"{result.shed:,}",
        f"{result.failed:,}",
        f"{result.direction_changes_per_hour:.1f}",
        str(result.max_workers),
        f"{result.decide_ms:.2f} ms",
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """All measures. ``policies`` has one entry per policy, by name."""
    load, objective = comparison.load, comparison.spec.objective
    return {
        "trace": {
            "name": load.trace.name,
            "requests": load.trace.requests,
            "seconds": load.trace.seconds,
            "peak_minute_rps": load.trace.peak_minute,
            "notes": list(load.trace.notes),
        },
        "objective": _objective(objective),
        "other_objectives": [_objective(each) for each in comparison.spec.other_objectives],
        "service": load.service.manifest(),
        "faults": [
            {"kind": fault.kind.value, "start": fault.start, "end": _finite(fault.end)}
            for fault in load.faults.all
        ],
        "seed": load.seed,
        "to_zero_after_s": comparison.to_zero_after,
        "target_utilization": comparison.utilization,
        "peer_pod_workers": comparison.pod_workers,
        "policies": {
            each.policy: _measures(each, comparison.vs_oracle(each)) for each in comparison.results
        },
    }


def _objective(objective: LatencyObjective) -> dict[str, float | str]:
    return {
        "kind": objective.kind.value,
        "percentile": objective.percentile,
        "threshold_s": objective.threshold,
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _measures(result: RunResult, vs_oracle: float) -> dict[str, Any]:
    return {
        "attainment_windows": result.attainment_windows,
        "attainment_requests": result.attainment_requests,
        "core_hours": result.core_hours,
        "vs_oracle": vs_oracle,
        "pod_hours": result.pod_hours,
        "worker_hours": result.worker_hours,
        "utilization": result.utilization,
        "p50_s": result.p50,
        "p95_s": result.p95,
        "p99_s": result.p99,
        "requests": result.requests,
        "shed": result.shed,
        "failed": result.failed,
        "retries": result.retries,
        "direction_changes_per_hour": result.direction_changes_per_hour,
        "max_workers": result.max_workers,
        "scale_downs": result.scale_downs,
        "decide_ms": result.decide_ms,
        "simulated_in_s": result.seconds,
        **_cold_measures(result.cold_starts),
    }


def _cold_measures(cold: ColdStarts | None) -> dict[str, Any]:
    if cold is None:
        return {}
    return {
        "cold_starts": {
            "starts": cold.starts,
            "asleep_s": cold.asleep_seconds,
            "requests": cold.requests,
            "late": cold.late,
            "p50_s": cold.p50,
            "p95_s": cold.p95,
            "longest_s": cold.longest,
        },
        "without_cold_starts": {
            "attainment_windows": cold.others_windows,
            "late": cold.others_late,
            "p95_s": cold.others_p95,
        },
    }
