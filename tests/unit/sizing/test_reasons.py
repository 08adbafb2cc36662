"""Every decision has a message with its numbers, including decisions that change nothing."""

import re
from collections.abc import Callable
from functools import cache

import pytest
from unit.sizing.fleet_model import FleetModel, spec

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Decision, Verdict
from aiapi_operator.sizing.inputs import Bounds, Fleet, Floor, Mode
from aiapi_operator.sizing.state import State

NEED = r"(at least )?\d+ workers? needed"
RATE = r"[\d.,]+ rps expected in [\d.]+ m?s x [\d.]+ m?s / 0\.\d\d"
LOOPS = r"event loops use [\d.]+ s per second / 0\.\d\d"
WHY = rf"({RATE}|{LOOPS})"
FLOOR = "workers.min 1 x replicas.min 2"
FLEET = r"\d+ pods? x \d+"
KEEPS = rf"keeping {FLEET} workers?( \(tolerates the loss of one pod\))?"


@cache
def _calm() -> FleetModel:
    model = FleetModel(spec())
    model.run(360)
    return model


def calm() -> FleetModel:
    return _calm().copy()


def nothing_ready() -> Decision:
    return decide(spec(), Fleet(replicas=2, pods=()), State(), 0.0)


def first_sample() -> Decision:
    model = FleetModel(spec(), replicas=3, workers=2)
    model.run(2)
    return model.last


def steady() -> Decision:
    return calm().last


def on_its_floor() -> Decision:
    model = calm()
    model.rate = 2.0
    model.run(120)
    return model.last


def in_a_schedule() -> Decision:
    model = calm()
    model.spec = spec(floors=(Floor(replicas=5, name="office"),))
    model.run(2)
    return model.last


def more() -> Decision:
    model = calm()
    model.rate = 120.0
    model.run(2)
    return model.last


def waiting() -> Decision:
    model = calm()
    model.rate = 120.0
    model.run(20)
    model.rate = 20.0
    model.run(20)
    return model.last


def fewer() -> Decision:
    model = calm()
    model.rate = 120.0
    model.run(20)
    model.rate = 20.0
    return next(d for _, d in model.run(90) if d.verdict is Verdict.SCALED_DOWN)


def just_started() -> Decision:
    model = FleetModel(spec(), replicas=4, workers=4)
    model.run(20)
    return model.last


def moved_over() -> Decision:
    model = FleetModel(spec(workers=Bounds(min=1, max=2), replicas=Bounds(min=2, max=20)))
    model.rate = 90.0
    model.run(400)
    model.spec = spec(workers=Bounds(min=3, max=8), replicas=Bounds(min=2, max=2))
    model.run(2)
    return model.last


def at_the_maximum() -> Decision:
    model = calm()
    model.spec = spec(workers=Bounds(min=1, max=2), replicas=Bounds(min=2, max=2))
    model.rate = 500.0
    model.run(20)
    return model.last


def at_the_rate_limit() -> Decision:
    model = FleetModel(spec(workers=Bounds(min=1, max=2), max_replicas_per_minute=1))
    model.run(60)
    model.rate = 500.0
    model.run(20)
    return model.last


def silent() -> Decision:
    model = calm()
    model.silent = {pod.name for pod in model.pods}
    model.run(14)
    return model.last


def partly_silent() -> Decision:
    model = FleetModel(spec(), replicas=4, workers=4)
    model.run(400)
    model.rate = 200.0
    model.run(40)
    model.rate = 1.0
    model.silent = {model.pods[0].name}
    model.run(60)
    return model.last


def paused() -> Decision:
    model = calm()
    model.spec = spec(mode=Mode.PAUSED)
    model.run(2)
    return model.last


def unsure() -> Decision:
    model = FleetModel(spec())
    model.rate = 3.0
    model.run(40)
    return model.last


TABLE: list[tuple[Callable[[], Decision], Verdict, str]] = [
    (nothing_ready, Verdict.WARMING_UP, rf"no pod is ready yet; {KEEPS}"),
    (first_sample, Verdict.WARMING_UP, rf"waiting for a second sample to compute rates; {KEEPS}"),
    (steady, Verdict.STEADY, rf"{NEED}( \(.*\))?:? ?({WHY})?.*; {KEEPS}"),
    (
        on_its_floor,
        Verdict.STEADY,
        rf"at least 2 workers needed \({FLOOR}; the load needs [\d.]+: {WHY}\); {KEEPS}.*",
    ),
    (
        in_a_schedule,
        Verdict.SCALED_UP,
        rf"at least 5 workers needed \(schedule office: 5 pods x 1; .*\); {FLEET} -> 5 pods x 1",
    ),
    (more, Verdict.SCALED_UP, rf"{NEED}: {WHY}; 2 pods x 1 -> {FLEET}.*"),
    (
        waiting,
        Verdict.STABILIZING,
        rf".*; {KEEPS}; workers scale down once the need has been lower for 30 s.*",
    ),
    (fewer, Verdict.SCALED_DOWN, rf"{NEED}.*{WHY}.*; {FLEET} -> {FLEET}.*"),
    (just_started, Verdict.WARMING_UP, rf".*; {KEEPS}.*; no scale-down until a full .* startup"),
    (moved_over, Verdict.REBALANCED, rf"{NEED}.*{WHY}.*; {FLEET} -> 2 pods x \d+.*"),
    (at_the_maximum, Verdict.LIMITED, rf"{NEED}: {WHY}; .*; the maximum is 2 pods x 2"),
    (at_the_rate_limit, Verdict.LIMITED, rf"{NEED}: {WHY}; .*; limited to 1 new pod per minute"),
    (
        silent,
        Verdict.HOLDING,
        rf"no metrics from any of 2 ready pods \(.*timeout.*\); {KEEPS}",
    ),
    (
        partly_silent,
        Verdict.HOLDING,
        rf"{NEED}.*; {KEEPS}.*; no scale-down while ready pods .* scraped \(pod-0: timeout\)",
    ),
    (paused, Verdict.PAUSED, rf"paused by spec.scaling.mode; {KEEPS}"),
    (
        unsure,
        Verdict.STEADY,
        r".*; service demand is based on only \d+ requests: planning for at most 60 %.*",
    ),
]


@pytest.mark.parametrize(
    ("scenario", "verdict", "expected"), TABLE, ids=[row[0].__name__ for row in TABLE]
)
def test_the_message_of_a_decision(
    scenario: Callable[[], Decision], verdict: Verdict, expected: str
) -> None:
    decision = scenario()
    assert decision.verdict is verdict, decision.message
    assert re.fullmatch(expected, decision.message), decision.message


def test_every_verdict_has_a_message_in_the_table() -> None:
    assert {verdict for _, verdict, _ in TABLE} == set(Verdict)
