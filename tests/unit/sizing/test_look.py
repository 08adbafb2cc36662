"""The facts of one tick: what is known, how old it may be, and which fleet runs."""

from math import inf, nan

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.samples import pod, tick

from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import Fleet, PodSample, PodUnknown
from aiapi_operator.sizing.look import look
from aiapi_operator.sizing.state import Outcome, Size, State


def at(
    now: float,
    state: State | None = None,
    *,
    interval: float = 2.0,
    pods: tuple[PodSample | PodUnknown, ...] | None = None,
    replicas: int = 1,
    workers: int = 0,
) -> Facts:
    """The facts at ``now``; by default of one pod that answered then."""
    pods = (pod(now),) if pods is None else pods
    fleet = Fleet(replicas=replicas, pods=pods, workers=workers)
    return look(spec(interval=interval), fleet, state or State(), now)[0]


def decided(workers: int) -> State:
    size = Size(workers=workers, replicas=1)
    return State(now=0.0, last=Outcome(time=0.0, size=size, replicas_before=1, need=1.0))


@pytest.mark.parametrize(("interval", "most"), [(2.0, 10.0), (3.0, 10.0), (4.0, 12.0)])
def test_load_is_known_for_three_intervals_but_at_least_ten_seconds(
    interval: float, most: float
) -> None:
    state = State(ticks=(tick(100.0),), now=100.0)
    assert at(100.0 + most, state, interval=interval).known
    assert not at(100.1 + most, state, interval=interval).known


def test_load_is_unknown_where_no_pod_answers() -> None:
    state = State(ticks=(tick(100.0),), now=100.0)
    assert not at(102.0, state, pods=(PodUnknown(pod="a", ready=True, reason="timeout"),)).known
    assert not at(102.0, State(now=100.0)).known, "nothing was measured yet"


@pytest.mark.parametrize(("interval", "most"), [(2.0, 15.0), (3.0, 15.0), (4.0, 20.0)])
def test_a_pause_of_more_than_five_intervals_and_fifteen_seconds_is_a_gap(
    interval: float, most: float
) -> None:
    state = State(now=100.0)
    assert not at(100.0 + most, state, interval=interval).gap
    assert at(100.1 + most, state, interval=interval).gap
    assert at(100.0, interval=interval).gap, "nothing is known of the time before the start"


def test_time_since_the_last_tick_and_the_start() -> None:
    found = at(103.0, State(now=100.0, since=40.0))
    assert (found.now, found.elapsed, found.since) == (103.0, 3.0, 40.0)
    first = at(103.0)
    assert (first.elapsed, first.since) == (0.0, 103.0)


@pytest.mark.parametrize("now", [nan, inf, -inf])
def test_a_senseless_time_is_the_last_one(now: float) -> None:
    assert at(now, State(now=100.0), pods=(pod(100.0),)).now == 100.0
    assert at(now, pods=(pod(0.0),)).now == 0.0


@pytest.mark.parametrize(("given", "read"), [(-1, 0), (0, 0), (10**6, 10**6), (10**6 + 1, 10**6)])
def test_a_senseless_number_of_pods_is_bounded(given: int, read: int) -> None:
    assert at(100.0, replicas=given).running.replicas == read


def test_pods_say_how_many_workers_run() -> None:
    found = at(2.0, decided(5), pods=(pod(2.0, workers_wanted=3),))
    assert found.running.workers == 3
    assert found.base.workers == 5, "an order that is not carried out yet counts"
    assert at(2.0, decided(2), pods=(pod(2.0, workers_wanted=3),)).base.workers == 3


def test_without_an_answer_the_last_decision_says_how_many_workers_run() -> None:
    silent = (PodUnknown(pod="a", ready=True, reason="timeout"),)
    assert at(2.0, decided(5), pods=silent, workers=4).running.workers == 5
    assert at(2.0, pods=silent, workers=4).running.workers == 4, "the status has it"
    assert at(2.0, pods=silent).running.workers == 1, "the least that the spec allows"
