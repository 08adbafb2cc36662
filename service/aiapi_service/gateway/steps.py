"""Measures the steps of a chain with a histogram and a trace span."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from aiapi_runtime.telemetry import metrics
from aiapi_runtime.telemetry.tracing import span
from aiapi_service.gateway.upstreams.metering import LONG

STEP = metrics.histogram(
    "aiapi_step_duration_seconds", "One step of a chain.", ["step", "outcome"], bounds=LONG
)


@dataclass
class Timing:
    """The duration of a step, set at its end."""

    seconds: float = 0.0


@contextmanager
def step(name: str) -> Iterator[Timing]:
    """Measure one step."""
    timing = Timing()
    began = monotonic()
    outcome = "error"
    try:
        with span(name):
            yield timing
        outcome = "ok"
    finally:
        timing.seconds = monotonic() - began
        STEP.labels(name, outcome).observe(timing.seconds)
