"""Texts about latency that several diagnoses use."""

from aiapi_operator.present.numbers import duration
from aiapi_operator.sizing.histogram import Percentile
from aiapi_operator.sizing.inputs import LatencyObjective


def latency_numbers(objective: LatencyObjective, latency: Percentile, calm: float | None) -> str:
    """p95 is 830 ms (usually 310 ms, objective 800 ms)."""
    usual = "" if calm is None else f"usually {duration(calm)}, "
    threshold = f"objective {duration(objective.threshold)}"
    found = f"{'at least ' if latency.at_least else ''}{duration(latency.seconds)}"
    return f"{objective.name} is {found} ({usual}{threshold})"
