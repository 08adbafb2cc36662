"""Pod start: how long pods take until they are ready, as seen in this fleet."""

from dataclasses import replace

import pytest
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts, pod

from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.learners.pod_start import (
    LEARNER,
    PodStart,
    learn,
    restore,
    seconds,
)
from aiapi_operator.sizing.state import Outcome, Size


def order(time: float, *, before: int, after: int) -> Outcome:
    size = Size(workers=1, replicas=after)
    return Outcome(time=time, size=size, replicas_before=before, need=None)


def after(known: PodStart | None, now: float, last: Outcome, *, ready: int) -> PodStart:
    pods = [pod(now, name) for name in "abcdefgh"[:ready]]
    return learn(known, facts(now=now, last=last, pods=pods))


def filled(known: PodStart | None, start: float, took: float) -> PodStart:
    """After an order of two pods more that were ready ``took`` seconds later."""
    known = after(known, start + 2, order(start, before=2, after=4), ready=2)
    still = order(start + took - 2, before=4, after=4)
    return after(known, start + took, still, ready=4)


def test_the_worked_example() -> None:
    first = filled(None, 0.0, 24.0)
    assert first == PodStart(seconds=24.0)
    assert filled(first, 100.0, 16.0) == PodStart(seconds=20.0)


def test_before_any_order_was_filled_ten_seconds_are_assumed() -> None:
    assert seconds(facts()) == seconds(facts(known=(PodStart(),))) == 10.0
    assert seconds(facts(known=(PodStart(seconds=24.0),))) == 24.0


def test_some_of_the_pods_are_not_all() -> None:
    known = after(None, 2.0, order(0.0, before=2, after=4), ready=2)
    assert after(known, 20.0, order(18.0, before=4, after=4), ready=3) == known


def test_an_order_that_was_taken_back_says_nothing() -> None:
    known = after(PodStart(seconds=9.0), 2.0, order(0.0, before=2, after=4), ready=2)
    assert after(known, 8.0, order(6.0, before=4, after=2), ready=2) == PodStart(seconds=9.0)


def test_an_order_that_is_not_filled_is_given_up() -> None:
    known = after(PodStart(seconds=9.0), 2.0, order(0.0, before=2, after=4), ready=2)
    last = order(598.0, before=4, after=4)
    assert after(known, 600.0, last, ready=2).ordered_at == 0.0
    assert after(known, 602.0, last, ready=2) == PodStart(seconds=9.0)


def test_a_fleet_learns_how_long_its_pods_take() -> None:
    model = FleetModel(spec(workers=Bounds(min=1, max=4)))
    model.run(30)
    model.pod_start = 24.0
    model.rate = 500.0
    model.run(60)
    assert model.state.memory[PodStart].seconds == pytest.approx(24, abs=2)


def test_it_is_restored() -> None:
    known = PodStart(seconds=24.4, ordered_at=3.0, replicas=4)
    assert restore(LEARNER.checkpoint(known, {})) == PodStart(seconds=24.0)
    assert LEARNER.checkpoint(replace(known, seconds=None), {}) == {}


@pytest.mark.parametrize("text", [None, 24, "24", "-1s", "0s", "11m", "nan", ["24s"]])
def test_a_senseless_checkpoint_is_ignored(text: object) -> None:
    assert restore({"podStart": text}) is None
