"""What pods counted: the same whether their earlier numbers were kept or are read again."""

import pytest
from unit.sizing.samples import pod

from aiapi_operator.sizing import rates
from aiapi_operator.sizing.inputs import Fleet, PodSample
from aiapi_operator.sizing.state import State, Tick

NAMES = ("a", "b", "c")


def seen(pods: tuple[PodSample, ...], now: float) -> rates.FleetSamples:
    return rates.validate(Fleet(replicas=len(pods), pods=pods), now=now, interval=2.0)


def fleet(time: float, *, done: int, names: tuple[str, ...] = NAMES) -> tuple[PodSample, ...]:
    return tuple(
        pod(time, pod=name, instance=name, succeeded=done * (number + 1))
        for number, name in enumerate(names)
    )


def young(instance: str, *, name: str) -> PodSample:
    """A pod whose two workers started 2 s ago."""
    return pod(102.0, pod=name, instance=instance, succeeded=8, worker_seconds=4.0)


def measured(after: tuple[PodSample, ...], *, kept: bool) -> Tick:
    first = rates.measure(seen(fleet(100.0, done=10), 100.0), State(), now=100.0)
    assert first.columns
    before = State(now=100.0, samples=first.samples, columns=first.columns if kept else ())
    tick = rates.measure(seen(after, 102.0), before, now=102.0).tick
    assert tick is not None
    return tick


@pytest.mark.parametrize(
    ("after", "completed"),
    [
        (fleet(102.0, done=30), 60.0),
        (fleet(102.0, done=30)[::-1], 60.0),
        (fleet(102.0, done=30, names=("a", "b")), 30.0),
        ((*fleet(102.0, done=30)[:2], young("d", name="c")), 34.0),
        ((*fleet(102.0, done=30)[:2], young("c", name="c")), 34.0),
        ((*fleet(102.0, done=30), young("d", name="d")), 64.0),
    ],
    ids=["same pods", "another order", "one gone", "restarted", "counter went back", "one new"],
)
def test_kept_numbers_are_those_of_the_samples(
    after: tuple[PodSample, ...], completed: float
) -> None:
    tick = measured(after, kept=True)
    assert tick.completed == completed
    assert tick == measured(after, kept=False)


def test_numbers_are_not_kept_while_a_pod_is_measured_from_an_earlier_sample() -> None:
    first = rates.measure(seen(fleet(100.0, done=10), 100.0), State(), now=100.0)
    state = State(now=100.0, samples=first.samples, columns=first.columns)
    stuck = rates.measure(seen(fleet(100.0, done=10), 102.0), state, now=102.0)
    assert stuck.samples == first.samples
    assert stuck.columns == ()


def test_pods_that_were_not_asked_since_are_neither_read_nor_checked_again() -> None:
    first = rates.measure(seen(fleet(100.0, done=10), 100.0), State(), now=100.0)
    state = State(now=100.0, samples=first.samples, columns=first.columns)
    asked = fleet(102.0, done=30)[:1]
    part = rates.validate(
        Fleet(replicas=3, pods=(*asked, *first.samples[1:])),
        now=102.0,
        interval=2.0,
        last=first.samples,
    )
    assert part.fresh == asked
    assert len(part.samples) == 3
    assert {len(column) for column in part.columns} == {1}
    measured = rates.measure(part, state, now=102.0)
    assert measured.tick is not None
    assert measured.tick.completed == 30.0, "one of three, as if all had counted the same"
    assert measured.samples == part.samples
    assert measured.columns == ()
    later = rates.validate(
        Fleet(replicas=3, pods=measured.samples), now=111.0, interval=2.0, last=measured.samples
    )
    assert [each.reason for each in later.unknown] == ["stale sample", "stale sample"]
