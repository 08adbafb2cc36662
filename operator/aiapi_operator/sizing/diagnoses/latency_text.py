"""Texts about latency that several diagnoses use."""

from aiapi_operator.present.numbers import duration
from aiapi_operator.sizing.histogram import Percentile
from aiapi_operator.sizing.inputs import SizingSpec


def percentile_name(spec: SizingSpec) -> str:
    """p95."""
    return f"p{spec.objective.percentile:g}"


def latency_numbers(spec: SizingSpec, latency: Percentile, calm: float | None) -> str:
    """p95 is 830 ms (usually 310 ms, objective 800 ms)."""
    usual = "" if calm is None else f"usually {duration(calm)}, "
    objective = f"objective {duration(spec.objective.threshold)}"
    at_least = "at least " if latency.at_least else ""
    return f"{percentile_name(spec)} is {at_least}{duration(latency.seconds)} ({usual}{objective})"
