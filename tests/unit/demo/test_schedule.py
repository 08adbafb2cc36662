"""The load is fixed before the first request is sent."""

from itertools import pairwise

import pytest

from aiapi_demo.schedule import Phase, demo_phases, schedule, starts

PHASES = (
    Phase(name="calm", seconds=100, rate=20, upstream_seconds=0.25),
    Phase(name="busy", seconds=50, rate=120, upstream_seconds=0.25),
)


def test_requests_are_in_order_and_within_their_phase() -> None:
    due = list(schedule(PHASES, seed=1))
    begins = starts(PHASES)
    assert all(a.at <= b.at for a, b in pairwise(due))
    assert all(begins[d.phase] <= d.at < begins[d.phase + 1] for d in due)


def test_each_phase_offers_its_rate() -> None:
    due = list(schedule(PHASES, seed=1))
    offered = [sum(d.phase == index for d in due) / p.seconds for index, p in enumerate(PHASES)]
    assert offered == pytest.approx([20, 120], rel=0.1)


def test_arrivals_are_a_poisson_process() -> None:
    gaps = [b.at - a.at for a, b in pairwise(schedule(PHASES[:1], seed=1))]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance**0.5 / mean == pytest.approx(1, abs=0.15)


def test_the_same_seed_gives_the_same_traffic() -> None:
    assert list(schedule(PHASES, seed=7)) == list(schedule(PHASES, seed=7))
    assert list(schedule(PHASES, seed=7)) != list(schedule(PHASES, seed=8))


def test_the_demo_steps_to_six_times_and_slows_the_llm_threefold() -> None:
    calm, step, again, slow = demo_phases(180)
    assert step.rate == 6 * calm.rate == 6 * again.rate == 6 * slow.rate
    assert slow.upstream_seconds == 3 * again.upstream_seconds == 3 * step.upstream_seconds
    assert sum(phase.seconds for phase in (calm, step, again, slow)) == pytest.approx(180)
