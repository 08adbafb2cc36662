"""Texts about latency that several diagnoses use."""

from aiapi_operator.present.numbers import duration
from aiapi_operator.sizing.histogram import Percentile
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind


def percentile_name(objective: LatencyObjective) -> str:
    """p95, or: first-byte p95."""
    first = "first-byte " if objective.kind is ObjectiveKind.FIRST_BYTE else ""
    return f"{first}p{objective.percentile:g}"


def latency_numbers(objective: LatencyObjective, latency: Percentile, calm: float | None) -> str:
    """p95 is 830 ms (usually 310 ms, objective 800 ms)."""
    usual = "" if calm is None else f"usually {duration(calm)}, "
    threshold = f"objective {duration(objective.threshold)}"
    found = f"{'at least ' if latency.at_least else ''}{duration(latency.seconds)}"
    return f"{percentile_name(objective)} is {found} ({usual}{threshold})"
