"""A made-up run with known numbers: two pods, a step, and a slow LLM."""

from collections.abc import Callable

import pytest

from aiapi_demo.cpu_wait import CpuWait
from aiapi_demo.observed import ObservedAIApi, ObservedCondition
from aiapi_demo.recording import Recording, RunSample
from aiapi_demo.records import RequestRecord
from aiapi_demo.schedule import Phase, schedule, starts
from aiapi_demo.summary import DemoObjective, DemoReport, summarize

PHASES = (
    Phase(name="calm", seconds=20, rate=20, upstream_seconds=0.25),
    Phase(name="step to 6x", seconds=30, rate=120, upstream_seconds=0.25),
    Phase(name="calm again", seconds=30, rate=20, upstream_seconds=0.25),
    Phase(name="slow LLM", seconds=30, rate=20, upstream_seconds=0.75),
)
OBJECTIVE = DemoObjective(percentile=95, seconds=0.8)
SIZES = ((0, 2), (24, 8), (62, 2))
"""(from second, workers in the whole fleet of two pods)."""


def size_at(at: float) -> int:
    return [workers for begin, workers in SIZES if begin <= at][-1]


def sample(at: float, **changes: object) -> RunSample:
    begins = starts(PHASES)
    phase = max(i for i in range(len(PHASES)) if begins[i] <= at)
    fields: dict[str, object] = {
        "at": at,
        "phase": phase,
        "offered_rps": PHASES[phase].rate,
        "served_rps": PHASES[phase].rate,
        "latency": PHASES[phase].upstream_seconds + 0.1,
        "failed": 0,
        "wanted_workers": size_at(at) // 2,
        "wanted_replicas": 2,
        "serving": size_at(at),
        "requested": size_at(at),
        "alive": size_at(at),
        "utilization": 0.4,
        "binding": "EventLoop",
        "reason": "Steady",
        "message": "18 of 30 <loops> are needed",
    }
    return RunSample(**{**fields, **changes})  # type: ignore[arg-type]


def view(workers: int, reason: str, *, bound: str = "False") -> ObservedAIApi:
    return ObservedAIApi(
        workers=workers,
        replicas=2,
        ready_replicas=2,
        reason=reason,
        message=f"{reason}: 120 rps x 25 ms",
        binding="EventLoop",
        conditions=(
            ObservedCondition(
                type="DependencyBound",
                status=bound,
                reason="UpstreamSlow",
                message="The upstream takes 92 % of the time: more pods would not help.",
            ),
        ),
    )


@pytest.fixture
def recording() -> Recording:
    seen = Recording()
    seen.update(view(1, "Steady"), -3.0)
    seen.update(view(4, "ScaledUp"), 23.0)
    seen.update(view(1, "ScaledDown"), 61.0)
    seen.update(view(1, "Steady", bound="True"), 95.0)
    seen.samples += [sample(float(at)) for at in range(110)]
    return seen


@pytest.fixture
def records() -> list[RequestRecord]:
    return [
        RequestRecord(
            due.phase,
            due.at,
            due.at + 0.001,
            due.at + PHASES[due.phase].upstream_seconds + 0.05,
            200,
            "",
        )
        for due in schedule(PHASES, seed=1)
    ]


@pytest.fixture
def report(recording: Recording, records: list[RequestRecord]) -> Callable[..., DemoReport]:
    def make(unmet: tuple[str, ...] = (), cpu_wait: float = 0.04) -> DemoReport:
        return DemoReport(
            phases=PHASES,
            objective=OBJECTIVE,
            recording=recording,
            summary=summarize(
                phases=PHASES, records=records, recording=recording, objective=OBJECTIVE
            ),
            kill=None,
            unmet=unmet,
            cpu_wait=CpuWait(share=cpu_wait, source="processes waited for a CPU"),
        )

    return make


@pytest.fixture
def phases() -> tuple[Phase, ...]:
    return PHASES


@pytest.fixture
def make_sample() -> Callable[..., RunSample]:
    return sample


@pytest.fixture
def make_view() -> Callable[..., ObservedAIApi]:
    return view
