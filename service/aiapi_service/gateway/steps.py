"""The steps of a chain: each is timed, counted, and a span where tracing is on."""

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
    """How long a step took; known when it is over."""

    seconds: float = 0.0


@contextmanager
def step(name: str) -> Iterator[Timing]:
    """One step of a chain: timed, counted, and a span where tracing is on."""
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
