"""Without in-place resize, the template follows a decision that lasts, and not twice at once."""

import pytest
from manifests_support.samples import aiapi

from aiapi_operator.engine.template_workers import TemplateWorkersState, adopt, follow

AIAPI = aiapi(workers={"min": 2, "max": 6})


def after(wanted: int, seconds: float, *, changed: float | None = None, workers: int = 3) -> int:
    """The template's workers after ``wanted`` has lasted for so long, from 1000 s on."""
    state = TemplateWorkersState(workers=workers, changed=changed)
    follow(state, AIAPI, wanted, now=1000.0)
    follow(state, AIAPI, wanted, now=1000.0 + seconds)
    return state.workers


@pytest.mark.parametrize(("wanted", "delay"), [(5, 30.0), (2, 600.0)])
def test_more_workers_must_last_half_a_minute_and_fewer_ten_minutes(
    wanted: int, delay: float
) -> None:
    assert after(wanted, delay - 0.1) == 3
    assert after(wanted, delay) == wanted


def test_the_template_changes_at_most_every_five_minutes() -> None:
    assert after(5, 99.9, changed=800.0) == 3
    assert after(5, 100.0, changed=800.0) == 5


def test_a_decision_that_returns_starts_the_time_again() -> None:
    state = TemplateWorkersState(workers=3)
    for now, wanted in ((0.0, 5), (20.0, 3), (40.0, 5), (69.9, 5)):
        follow(state, AIAPI, wanted, now=now)
    assert state.workers == 3
    follow(state, AIAPI, 5, now=70.0)
    assert (state.workers, state.changed, state.differs_since) == (5, 70.0, None)


@pytest.mark.parametrize(("present", "workers"), [(1, 2), (9, 6)])
def test_new_bounds_apply_at_once(present: int, workers: int) -> None:
    state = TemplateWorkersState(workers=present)
    follow(state, AIAPI, workers, now=0.0)
    assert state == TemplateWorkersState(workers=workers)


def test_without_a_deployment_it_is_the_minimum() -> None:
    state = TemplateWorkersState()
    adopt(state, AIAPI, None)
    assert state.workers == 2
