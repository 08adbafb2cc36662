"""Savings: against the busiest minute served, after an hour, and never while the fleet fails."""

from dataclasses import replace
from typing import Any

import pytest
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts, row, tick

from aiapi_operator.sizing.decide import checkpoint, restored
from aiapi_operator.sizing.learners import usage
from aiapi_operator.sizing.learners.failed_requests import FailedRequests
from aiapi_operator.sizing.learners.usage import Usage
from aiapi_operator.sizing.learners.worker_use import WorkerUse
from aiapi_operator.sizing.savings import Savings, Withheld, savings
from aiapi_operator.sizing.state import Latch, Outcome, Size, State

HOUR = Usage(
    seconds=3600.0,
    worker_seconds=15 * 3600.0,
    pod_seconds=2 * 3600.0,
    peak=Size(workers=20, replicas=2),
)
PRICED = spec(price=replace(spec().price, cpu_hour=0.0334, memory_gib_hour=0.0))
FAILING = FailedRequests(latch=Latch(on=True))
MISSING = replace(HOUR, missing=Latch(on=True))


def found(known: Usage = HOUR, *others: Any, user_spec: Any = PRICED) -> Savings | None:
    memory = {type(each): each for each in (known, *others)}
    return savings(user_spec, State(memory=memory))


def test_the_worked_example() -> None:
    made = found()
    assert made is not None
    assert (made.baseline, made.baseline_is_peak) == (Size(workers=20, replicas=2), True)
    assert made.percent == pytest.approx(62, abs=0.5)
    assert made.per_month == pytest.approx(304, abs=1)
    assert (made.withheld, made.missed_share) == (None, 0.0)


def test_a_baseline_of_the_spec_is_used() -> None:
    price = replace(PRICED.price, baseline_replicas=4, baseline_workers=3)
    made = found(user_spec=spec(price=price))
    assert made is not None
    assert (made.baseline, made.baseline_is_peak) == (Size(workers=3, replicas=4), False)


def test_a_baseline_may_be_given_in_part() -> None:
    price = replace(PRICED.price, baseline_replicas=4)
    made = found(user_spec=spec(price=price))
    assert made is not None
    assert made.baseline == Size(workers=20, replicas=4)


def test_a_fleet_that_cost_more_than_its_peak_saves_less_than_nothing() -> None:
    made = found(replace(HOUR, worker_seconds=50 * 3600.0))
    assert made is not None
    assert made.percent is not None
    assert made.per_month is not None
    assert made.percent < 0
    assert made.per_month < 0


def test_learned_requests_set_the_price_of_a_worker() -> None:
    learned = replace(PRICED, learn_resources=True)
    plain, twice = found(user_spec=learned), found(HOUR, WorkerUse(cpu=1.0), user_spec=learned)
    assert plain is not None
    assert twice is not None
    assert twice.baseline_hour == pytest.approx(2 * plain.baseline_hour, rel=0.02)


def test_free_compute_saves_no_money() -> None:
    made = found(user_spec=spec(price=replace(spec().price, cpu_hour=0.0, memory_gib_hour=0.0)))
    assert made is not None
    assert made.per_month == 0.0
    assert made.percent is not None
    assert made.percent > 0


def test_nothing_is_reported_before_an_hour() -> None:
    assert found(replace(HOUR, seconds=3599.0)) is None
    assert savings(PRICED, State()) is None


@pytest.mark.parametrize(
    ("known", "others", "reason"),
    [
        (HOUR, [FAILING], Withheld.REQUESTS_FAILING),
        (MISSING, [], Withheld.OBJECTIVE_MISSED),
        (MISSING, [FAILING], Withheld.REQUESTS_FAILING),
    ],
)
def test_a_fleet_that_fails_saves_nothing(
    known: Usage, others: list[Any], reason: Withheld
) -> None:
    made = found(known, *others)
    assert made is not None
    assert (made.percent, made.per_month, made.withheld) == (None, None, reason)
    assert made.cost_hour > 0


def grow_old(model: FleetModel, seconds: float = 3600.0) -> None:
    """The totals, as if the fleet had been observed for longer."""
    known: Usage = model.state.memory[Usage]
    factor = seconds / known.seconds
    older = replace(
        known,
        seconds=seconds,
        worker_seconds=factor * known.worker_seconds,
        pod_seconds=factor * known.pod_seconds,
    )
    model.state = replace(model.state, memory={**model.state.memory, Usage: older})


def saved(model: FleetModel) -> Savings:
    made = savings(model.spec, model.state)
    assert made is not None
    return made


def test_an_idle_fleet_at_its_floor_saves_nothing() -> None:
    model = FleetModel(spec())
    model.rate = 5.0
    model.run(300)
    assert savings(model.spec, model.state) is None
    grow_old(model)
    assert saved(model).percent == pytest.approx(0.0, abs=1.0)


def after_a_peak() -> FleetModel:
    """A fleet that has been larger than it is."""
    model = FleetModel(spec())
    model.rate = 200.0
    model.run(120)
    model.rate = 20.0
    model.run(400)
    grow_old(model)
    return model


def test_a_fleet_whose_requests_fail_shows_no_saving_until_they_succeed() -> None:
    model = after_a_peak()
    good = saved(model)
    assert good.percent is not None
    assert good.percent > 10
    model.outage = True
    model.run(60)
    assert (saved(model).percent, saved(model).withheld) == (None, Withheld.REQUESTS_FAILING)
    model.outage = False
    model.run(180)
    again = saved(model)
    assert again.percent == pytest.approx(good.percent, abs=5)
    assert again.missed_share > good.missed_share


def test_a_fleet_that_is_too_small_shows_no_saving() -> None:
    model = after_a_peak()
    model.acting = False
    model.rate = 300.0
    model.run(30)
    assert (saved(model).percent, saved(model).withheld) == (None, Withheld.OBJECTIVE_MISSED)


def usage_after(latencies: list[tuple[int, ...]], *, start: Usage | None = None) -> Usage:
    """After ticks with these counts under 0.1 s, 0.9 s and above; the objective is 0.8 s."""
    seen = row(start=-60.0)
    for at, counts in enumerate(latencies, start=1):
        newest = tick(2.0 * at, bounds=(0.1, 0.9), counts=counts)
        seen = (*seen, newest)[-30:]
        size = Size(workers=2, replicas=2)
        last = Outcome(time=2.0 * (at - 1), size=size, replicas_before=2, need=1.0)
        start = usage.learn(start, facts(seen, last=last))
    assert start is not None
    return start


def test_missed_time_is_counted_after_six_seconds_and_until_a_calm_minute() -> None:
    slow, fast = (0, 0, 200), (200, 0, 0)
    assert not usage_after([slow] * 3).missing.on
    missing = usage_after([slow] * 10)
    assert missing.missing.on
    assert missing.missed_seconds == pytest.approx(14)
    assert usage_after([fast] * 29, start=missing).missing.on
    calm = usage_after([fast] * 60, start=missing)
    assert not calm.missing.on
    assert calm.missed_seconds < 14 + 80


def test_totals_survive_a_restart() -> None:
    before = replace(HOUR, missed_seconds=180.0)
    state = State(memory={Usage: before})
    after = restored(checkpoint(state))
    assert after[Usage] == before
    assert savings(PRICED, State(memory=after)) == savings(PRICED, state)
