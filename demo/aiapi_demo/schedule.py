"""The phases of the load and the times at which requests are due.

The load is an open loop: the times are fixed before the first request is sent and do not depend on
responses, as users do not arrive more slowly because the service is slow.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A period of constant offered load. ``upstream_seconds`` is the latency of the LLM in it."""

    name: str
    seconds: float
    rate: float
    upstream_seconds: float


@dataclass(frozen=True, slots=True)
class ScheduledRequest:
    """One request: the index of its phase and when to send it, in seconds since the start."""

    phase: int
    at: float


CALM_RPS = 20.0
STEP_FACTOR = 6
UPSTREAM_SECONDS = 0.25
SLOW_FACTOR = 3
SHARES = {"calm": 0.20, "step to 6x": 0.28, "calm again": 0.27, "slow LLM": 0.25}


def demo_phases(total_seconds: float) -> tuple[Phase, ...]:
    """The phases of the demo: calm, a step to 6x, calm again, and an LLM three times slower."""
    return tuple(
        Phase(
            name=name,
            seconds=total_seconds * share,
            rate=CALM_RPS * (STEP_FACTOR if name.startswith("step") else 1),
            upstream_seconds=UPSTREAM_SECONDS * (SLOW_FACTOR if name.startswith("slow") else 1),
        )
        for name, share in SHARES.items()
    )


def starts(phases: tuple[Phase, ...]) -> tuple[float, ...]:
    """The start of each phase, and the end of the last one."""
    times = [0.0]
    for phase in phases:
        times.append(times[-1] + phase.seconds)
    return tuple(times)


def schedule(phases: tuple[Phase, ...], *, seed: int) -> Iterator[ScheduledRequest]:
    """All requests in order of time: Poisson arrivals, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - repeatable traffic, not a secret
    for index, (phase, begin) in enumerate(zip(phases, starts(phases), strict=False)):
        at = begin + chance.expovariate(phase.rate)
        while at < begin + phase.seconds:
            yield ScheduledRequest(index, at)
            at += chance.expovariate(phase.rate)
