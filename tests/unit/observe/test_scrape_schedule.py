"""Large fleets are scraped in parts: each pod in time, pods in transition in every tick."""

import pytest
from engine_support.samples import sample
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from aiapi_operator.observe.scrape_schedule import ScrapeSchedule, parts
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.inputs import PodSample, PodUnknown


def fleet(size: int) -> list[ScrapeTarget]:
    return [ScrapeTarget(pod=f"a-{i}", address="10.0.0.1", ready=True) for i in range(size)]


def scrape(
    schedule: ScrapeSchedule,
    targets: list[ScrapeTarget],
    *,
    now: float = 0.0,
    interval: float = 2.0,
) -> set[str]:
    """One tick in which every scraped pod answers. Returns the scraped pods."""
    due = schedule.due(targets, interval=interval, workers=1)
    schedule.record(targets, [sample(target.pod, time=now) for target in due])
    return {target.pod for target in due}


@pytest.mark.parametrize(
    ("pods", "interval", "expected"),
    [(200, 2.0, 1), (201, 2.0, 4), (5000, 0.5, 4), (1000, 5.0, 2), (1000, 60.0, 2)],
)
def test_a_full_turn_keeps_samples_fresh(pods: int, interval: float, expected: int) -> None:
    assert parts(pods, interval=interval) == expected
    assert expected == 1 or expected * interval < max(3 * interval, 10.0)


def test_a_small_fleet_is_scraped_as_a_whole() -> None:
    schedule, targets = ScrapeSchedule(), fleet(200)
    assert len(scrape(schedule, targets)) == len(scrape(schedule, targets)) == 200


def test_a_thousand_pods_are_scraped_within_four_ticks() -> None:
    schedule, targets = ScrapeSchedule(), fleet(1000)
    assert len(scrape(schedule, targets)) == 1000
    turns = [scrape(schedule, targets) for _ in range(4)]
    assert set.union(*turns) == {target.pod for target in targets}
    assert all(150 < len(turn) < 350 for turn in turns)


def test_the_last_answer_keeps_its_time() -> None:
    schedule, targets = ScrapeSchedule(), fleet(300)
    scrape(schedule, targets, now=10.0)
    due = schedule.due(targets, interval=2.0, workers=1)
    answers = schedule.record(targets, [sample(target.pod, time=12.0) for target in due])
    assert [answer.pod for answer in answers] == [target.pod for target in targets]
    asked = {target.pod for target in due}
    assert all(
        answer.time == (12.0 if answer.pod in asked else 10.0)
        for answer in answers
        if isinstance(answer, PodSample)
    )


def test_a_silent_pod_stays_unknown_until_the_next_scrape() -> None:
    schedule, targets = ScrapeSchedule(), fleet(300)
    schedule.record(
        targets, [PodUnknown(pod=target.pod, ready=True, reason="timeout") for target in targets]
    )
    due = {target.pod for target in schedule.due(targets, interval=2.0, workers=1)}
    answers = schedule.record(targets, [sample(pod) for pod in due])
    unknown = {answer.pod for answer in answers if isinstance(answer, PodUnknown)}
    assert unknown == {target.pod for target in targets} - due


def test_a_pod_that_was_not_asked_keeps_its_last_answer_and_its_time() -> None:
    schedule, targets = ScrapeSchedule(), fleet(2)
    schedule.record(targets, [sample("a-0", time=10.0), sample("a-1", time=10.0)])
    first, second = schedule.record(targets, [sample("a-1", time=12.0)])
    assert isinstance(first, PodSample)
    assert isinstance(second, PodSample)
    assert (first.time, second.time) == (10.0, 12.0)


def test_a_pod_that_was_never_asked_is_unknown_and_due() -> None:
    schedule, targets = ScrapeSchedule(), fleet(300)
    assert schedule.record(targets, []) == tuple(
        PodUnknown(pod=target.pod, ready=True, reason="not asked yet") for target in targets
    )
    assert schedule.due(targets, interval=2.0, workers=1) == targets


def test_pods_in_transition_are_scraped_in_every_tick() -> None:
    schedule, targets = ScrapeSchedule(), fleet(300)
    scrape(schedule, targets)
    targets.append(ScrapeTarget(pod="new", address="10.0.0.1", ready=False))
    targets[7] = structs.replace(targets[7], ready=False)
    for _ in range(4):
        assert {"new", "a-7"} <= scrape(schedule, targets)
    everyone = schedule.due(targets, interval=2.0, workers=3)
    assert len(everyone) == 301


sizes = st.lists(st.integers(190, 260), min_size=6, max_size=12)


@settings(max_examples=8, deadline=None)
@given(sizes)
def test_only_existing_pods_have_answers(counts: list[int]) -> None:
    schedule = ScrapeSchedule()
    for count in counts:
        targets = fleet(count)
        due = schedule.due(targets, interval=2.0, workers=1)
        answers = schedule.record(targets, [sample(target.pod) for target in due])
        assert [answer.pod for answer in answers] == [target.pod for target in targets]
