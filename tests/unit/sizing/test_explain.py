"""Every decision has a message with its numbers, including decisions that change nothing."""

import re
from collections.abc import Callable
from functools import cache

import pytest
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, pod, row

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding, Decision, Verdict
from aiapi_operator.sizing.explain import UNKNOWN_LOAD, load, message, need, verdict
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.inputs import Bounds, Fleet, Floor, Mode, PodUnknown
from aiapi_operator.sizing.learners.daily_profile import DailyProfile
from aiapi_operator.sizing.learners.demand import Demand
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.needs import loop
from aiapi_operator.sizing.requirement import Requirements, together
from aiapi_operator.sizing.state import Size, State

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


# Each part alone

LIMITED = Guarded(size=size(2, 3), verdict=Verdict.LIMITED, why="the maximum is 3 pods x 2")
WAITS = Guarded(size=size(2, 3), verdict=Verdict.STABILIZING, why="workers scale down later")
PAUSE = Guarded(size=size(2, 3), verdict=Verdict.PAUSED, why="paused by spec.scaling.mode")


@pytest.mark.parametrize(
    ("after", "held", "expected"),
    [
        pytest.param((3, 3), [], Verdict.SCALED_UP, id="more workers"),
        pytest.param((2, 4), [LIMITED], Verdict.SCALED_UP, id="more pods, at a limit"),
        pytest.param((1, 3), [WAITS], Verdict.SCALED_DOWN, id="fewer workers, as far as possible"),
        pytest.param((2, 2), [], Verdict.SCALED_DOWN, id="fewer pods"),
        pytest.param((3, 2), [], Verdict.REBALANCED, id="fewer pods with more workers"),
        pytest.param((1, 4), [], Verdict.REBALANCED, id="more pods with fewer workers"),
        pytest.param((2, 3), [], Verdict.STEADY, id="nothing"),
        pytest.param((2, 3), [LIMITED, WAITS], Verdict.STABILIZING, id="the last guard binds"),
        pytest.param((2, 3), [WAITS, PAUSE], Verdict.PAUSED, id="paused"),
    ],
)
def test_the_verdict(after: tuple[int, int], held: list[Guarded], expected: Verdict) -> None:
    now = facts(row(), running=size(2, 3))
    assert verdict(now, held, size(*after)) is expected


def said(
    requirements: Requirements, before: Size, after: Size, *held: Guarded, **known: object
) -> str:
    return message(facts(row(), running=before, **known), requirements, held, after)


@pytest.mark.parametrize(
    ("before", "after", "held", "expected"),
    [
        pytest.param((3, 2), (4, 2), (), "2 pods x 3 -> 2 pods x 4", id="a change"),
        pytest.param((4, 2), (4, 2), (), "keeping 2 pods x 4 workers", id="no change"),
        pytest.param(
            (6, 2),
            (6, 2),
            (),
            "keeping 2 pods x 6 workers (tolerates the loss of one pod)",
            id="as many as the loss of a pod takes",
        ),
        pytest.param(
            (2, 3),
            (2, 3),
            (LIMITED, WAITS),
            "keeping 3 pods x 2 workers; workers scale down later",
            id="what the last guard waits for",
        ),
        pytest.param(
            (3, 3), (2, 3), (WAITS,), "3 pods x 3 -> 3 pods x 2", id="a change that waits for more"
        ),
        pytest.param(
            (1, 3),
            (2, 3),
            (LIMITED,),
            "3 pods x 1 -> 3 pods x 2; the maximum is 3 pods x 2",
            id="a change up to a limit",
        ),
    ],
)
def test_the_change_in_a_message(
    before: tuple[int, int], after: tuple[int, int], held: tuple[Guarded, ...], expected: str
) -> None:
    text = said(needed(7.0, 5.2), size(*before), size(*after), *held)
    assert text == f"7 workers needed: the load; {expected}"


def test_the_worked_example() -> None:
    known = (Demand(level=400.0), ServiceDemand(seconds=0.0091, requests=5000))
    now = facts(row(), running=size(3, 2), known=known)
    text = message(now, together([loop.need(now, 35.0)]), [], size(4, 2))
    assert text == (
        "7 workers needed: 412 rps expected in 35 s x 9.1 ms / 0.60; 2 pods x 3 -> 2 pods x 4"
    )


def test_a_floor_above_the_load_has_both_numbers() -> None:
    text = said(needed(1.46, min_workers=2, min_replicas=3), size(2, 3), size(2, 3))
    assert text.startswith("at least 6 workers needed (the floor; the load needs 1.5: the load);")
    text = said(needed(0.0, min_replicas=3), size(1, 3), size(1, 3))
    assert text == "3 workers needed: the floor; keeping 3 pods x 1 worker", "there is no load"


@pytest.mark.parametrize(
    ("known", "doubt"),
    [
        pytest.param(
            ServiceDemand(seconds=0.01, requests=1),
            "; service demand is based on only 1 request: planning for at most 60 % loop"
            " utilization",
            id="few requests",
        ),
        pytest.param(
            ServiceDemand(seconds=0.01),
            "; service demand dates from before the operator started: planning for at most 60 %"
            " loop utilization",
            id="a checkpoint",
        ),
        pytest.param(ServiceDemand(seconds=0.01, requests=200), "", id="enough requests"),
    ],
)
def test_an_uncertain_service_demand_is_mentioned(known: ServiceDemand, doubt: str) -> None:
    text = said(needed(2.0), size(1, 2), size(1, 2), known=[known])
    assert text == f"2 workers needed: the load; keeping 2 pods x 1 worker{doubt}"


@pytest.mark.parametrize(("time_of_day", "mentioned"), [(1621.0, True), (1619.0, False)])
def test_an_expected_jump_is_mentioned_three_minutes_ahead(
    time_of_day: float, mentioned: bool
) -> None:
    daily = DailyProfile(jumps=(0.0, 1.0) + (0.0,) * 46, seen=200, error=0.0, error_without=2.0)
    clock = spec(time_of_day=time_of_day)
    text = said(needed(2.0), size(1, 2), size(1, 2), known=[daily], user_spec=clock)
    assert text.endswith("a x2.7 jump is expected within 3 min, as on previous days") is mentioned


@pytest.mark.parametrize(("retried", "mentioned"), [(20.0, True), (0.9, False)])
def test_excluded_retries_are_mentioned(retried: float, mentioned: bool) -> None:
    now = facts(row(retried=retried), running=size(1, 2))
    text = message(now, needed(2.0), [], size(1, 2))
    assert text.endswith("; 20 rps are excluded as retries of failures") is mentioned


SILENT = PodUnknown(pod="b", ready=True, reason="timeout")


def test_why_the_need_is_unknown() -> None:
    def unknown(*pods: object, now: float = 60.0, ticks: bool = False) -> tuple[Verdict, str]:
        found = facts(row() if ticks else (), pods=pods, running=size(1, 2), now=now)
        found.known = False
        return verdict(found, [], size(1, 2)), message(found, needed(1.0), [], size(1, 2))

    kept = "; keeping 2 pods x 1 worker"
    second = f"waiting for a second sample to compute rates{kept}"
    assert unknown() == (Verdict.WARMING_UP, f"no pod is ready yet{kept}")
    assert unknown(ticks=True) == (Verdict.HOLDING, f"no pod is ready yet{kept}")
    nothing = f"no metrics from any of 1 ready pod (b: timeout){kept}"
    assert unknown(SILENT) == (Verdict.HOLDING, nothing)
    assert unknown(pod(2.0), now=2.0) == (Verdict.WARMING_UP, second)
    assert unknown(pod(60.0)) == (Verdict.HOLDING, second)


@pytest.mark.parametrize(
    ("requirements", "workers", "binding"),
    [
        pytest.param(needed(6.2), 7, Binding.LOOP, id="rounded up"),
        pytest.param(needed(7.0), 7, Binding.LOOP, id="whole workers"),
        pytest.param(needed(3.0, min_workers=2, min_replicas=2), 4, Binding.FLOOR, id="a floor"),
        pytest.param(needed(160.0), 160, Binding.LOOP, id="the maximum"),
        pytest.param(needed(160.1), 161, Binding.CEILING, id="above the maximum"),
    ],
)
def test_the_need_of_the_status(requirements: Requirements, workers: int, binding: Binding) -> None:
    known = [ServiceDemand(seconds=0.0091, requests=5000)]
    found = need(facts(row(), known=known), requirements)
    assert (found.workers, found.binding) == (workers, binding)
    assert (found.demand, found.service_demand) == (412.0, 0.0091)
    assert found.target_utilization == 0.6


def test_an_unknown_need_is_what_runs() -> None:
    found = need(facts(running=size(3, 4)), needed(1.0))
    assert (found.workers, found.service_demand) == (12, None)


def test_the_load_of_the_status() -> None:
    found = load(facts(row(retried=10.0, shed=5.0)))
    assert (found.arrivals_per_second, found.completed_per_second) == (110.0, 100.0)
    assert (found.in_flight, found.shed_per_second) == (30.0, 5.0)
    assert found.loop_utilization == 0.25
    assert found.latency == pytest.approx(0.195)
    assert found.upstream_share == pytest.approx(29 / 30)
    assert found.threads_utilization is None


def test_the_load_of_an_idle_fleet() -> None:
    idle = load(facts(row(arrivals=0.0, completed=0.0, in_flight=0.0, counts=(0, 0, 0))))
    assert (idle.arrivals_per_second, idle.upstream_share, idle.latency) == (0.0, None, None)
    assert load(facts()) == UNKNOWN_LOAD
