"""Proposals: workers first, pods for lasting needs."""

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, pod, row

from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.learners.need_history import NeedHistory
from aiapi_operator.sizing.propose import Proposal, clamp, fewest, propose, workers_each
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Outcome, ReplicaMove, Size


def proposed(
    running: tuple[int, int],
    now: Requirements,
    soon: Requirements | None = None,
    *,
    ready: int | None = None,
    move: ReplicaMove | None = None,
    samples: tuple[float, ...] = (),
    lately: float = 0.0,
    **bounds: Bounds,
) -> Proposal:
    """The proposal for a fleet; ``move`` was chosen before, ``samples`` make it choose now."""
    serving = running[1] if ready is None else ready
    pods = [pod(60.0, f"pod-{i}") for i in range(serving)]
    last = Outcome(time=58.0, size=size(*running), replicas_before=running[1], need=1.0, move=move)
    sampled = 58.0 if samples else 50.0
    history = NeedHistory(workers=((0.0, lately),), samples=samples or (1.0,), sampled=sampled)
    tick = facts(
        row(),
        user_spec=spec(**bounds),
        running=size(*running),
        last=last,
        known=[history],
        pods=pods,
    )
    return propose(tick, now, soon or now)


@pytest.mark.parametrize(
    ("running", "now", "soon", "expected"),
    [
        pytest.param((2, 2), needed(7.0, 5.2), None, (6, 2), id="workers grow first"),
        pytest.param((2, 2), needed(16.5, 11.0), None, (8, 3), id="workers do not suffice"),
        pytest.param(
            (7, 2), needed(14.0, 7.0), needed(20.0, 10.0), (7, 3), id="pods are ordered ahead"
        ),
        pytest.param(
            (7, 2), needed(14.0, 7.0), needed(16.0, 8.0), (7, 2), id="workers suffice ahead"
        ),
        pytest.param((2, 2), needed(4.19), None, (2, 2), id="5 % too much changes nothing"),
        pytest.param((2, 2), needed(4.21), None, (3, 2), id="more than that does"),
        pytest.param((3, 2), needed(4.0), None, (2, 2), id="fewer workers suffice"),
        pytest.param((3, 2), needed(4.1), None, (3, 2), id="fewer workers do not quite suffice"),
        pytest.param((1, 2), needed(1.0, min_workers=3), None, (3, 2), id="a floor of workers"),
        pytest.param((1, 2), needed(1.0, min_replicas=5), None, (1, 5), id="a floor of pods"),
        pytest.param(
            (1, 2), needed(1.0), needed(1.0, min_replicas=5), (1, 5), id="a floor of pods ahead"
        ),
        pytest.param((0, 0), needed(1.0), None, (1, 2), id="nothing runs"),
        pytest.param((8, 20), needed(900.0), None, (8, 20), id="the maximum is not exceeded"),
    ],
)
def test_the_proposal(
    running: tuple[int, int],
    now: Requirements,
    soon: Requirements | None,
    expected: tuple[int, int],
) -> None:
    assert proposed(running, now, soon).size == size(*expected)


def test_pods_that_are_not_ready_do_not_serve() -> None:
    assert proposed((3, 3), needed(9.0, 3.0), ready=2).size == size(5, 3)
    assert proposed((3, 3), needed(9.0, 3.0), ready=3).size == size(3, 3)


def test_ordered_pods_count_for_the_loss_of_one() -> None:
    tick = facts(row(), running=size(3, 4), pods=[pod(60.0, "a")])
    carry = needed(2.0, 9.0).carry
    assert workers_each(tick, carry, 4) == 3
    assert workers_each(tick, carry, 1) == 2


FEWER = ReplicaMove(before=6, after=4)


@pytest.mark.parametrize(
    ("running", "now", "expected"),
    [
        pytest.param((1, 6), needed(4.0), (1, 4), id="it saves a third"),
        pytest.param((1, 6), needed(4.1), (1, 6), id="the need has risen: 4 x 2 costs more"),
        pytest.param((1, 5), needed(4.0), (1, 5), id="it was chosen for another fleet"),
        pytest.param((1, 6), needed(33.0, 24.0), (6, 6), id="fewer pods cannot carry it"),
    ],
)
def test_a_chosen_move_of_pods(
    running: tuple[int, int], now: Requirements, expected: tuple[int, int]
) -> None:
    found = proposed(running, now, move=FEWER)
    assert found.size == size(*expected)


def test_fewer_pods_must_also_carry_the_highest_need_of_the_workers_window() -> None:
    """Workers stay for it: fewer pods would get another worker each, for half a minute."""
    assert proposed((1, 6), needed(4.0), move=FEWER, lately=4.1).size == size(1, 6)
    assert proposed((1, 6), needed(4.0), move=FEWER, lately=4.0).size == size(1, 4)


def test_fewer_pods_must_carry_the_need_with_the_workers_that_pods_can_have() -> None:
    few = {"workers": Bounds(min=1, max=2)}
    assert proposed((2, 6), needed(9.0), move=FEWER, **few).size == size(2, 6)
    assert proposed((2, 6), needed(8.0), move=FEWER, **few).size == size(2, 4)


def test_more_pods_to_save_cost_are_kept_although_workers_are_higher_now() -> None:
    more = ReplicaMove(before=5, after=8)
    assert proposed((2, 5), needed(7.2, 6.0), ready=8, move=more).size == size(1, 8)
    assert proposed((2, 5), needed(7.2, 6.0), move=more).size == size(2, 8), "five serve yet"


def test_a_move_is_chosen_every_ten_seconds() -> None:
    lasting = (7.2,) * 30
    chosen = proposed((2, 5), needed(7.2, 6.0), ready=5, samples=lasting)
    assert chosen.move == ReplicaMove(before=5, after=4)
    assert chosen.size == size(2, 4)
    kept = proposed((2, 5), needed(7.2, 6.0), ready=5)
    assert kept.move is None
    kept = proposed((2, 5), needed(7.2, 6.0), ready=5, move=chosen.move)
    assert kept.move == chosen.move


def test_the_fewest_pods_carry_the_window_and_the_time_ahead() -> None:
    history = NeedHistory(replicas=((0.0, 30.0),))
    tick = facts(row())
    assert fewest(tick, history, needed(2.0), needed(2.0)) == 4
    assert fewest(tick, NeedHistory(), needed(2.0), needed(2.0)) == 1
    assert fewest(tick, NeedHistory(), needed(2.0), needed(17.0)) == 3
    assert fewest(tick, NeedHistory(), needed(2.0, min_replicas=5), needed(2.0)) == 5
    assert fewest(tick, NeedHistory(), needed(2.0), needed(2.0, min_replicas=6)) == 6
    loss = NeedHistory(replicas=((0.0, 16.0),))
    assert fewest(tick, loss, needed(4.0, 3.0), needed(2.0)) == 3, "12 must survive a lost pod"


@pytest.mark.parametrize(
    ("given", "expected"), [((1, 1), (2, 2)), ((9, 9), (4, 5)), ((3, 3), (3, 3))]
)
def test_clamp(given: tuple[int, int], expected: tuple[int, int]) -> None:
    bounds = spec(workers=Bounds(min=2, max=4), replicas=Bounds(min=2, max=5))
    found: Size = clamp(facts(user_spec=bounds), size(*given))
    assert found == size(*expected)
