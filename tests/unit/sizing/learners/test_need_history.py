"""Need history: the highest need of the windows, and samples of it."""

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.samples import facts

from aiapi_operator.sizing import peaks
from aiapi_operator.sizing.learners.need_history import EVERY, SAMPLES, NeedHistory, learn
from aiapi_operator.sizing.state import Outcome, Size

RUNNING = Size(workers=3, replicas=4)


def add(
    known: NeedHistory | None, time: float, need: float | None, **others: object
) -> NeedHistory:
    """The tick 2 s after the one that found ``need``."""
    last = Outcome(time=time, size=RUNNING, replicas_before=4, need=need)
    return learn(known, facts(now=time + 2, last=last, running=RUNNING, **others))


def fed(*needs: float | None, known: NeedHistory | None = None, start: float = 0.0) -> NeedHistory:
    known = known or NeedHistory()
    for step, need in enumerate(needs):
        known = add(known, start + 2.0 * step, need)
    return known


def test_the_worked_example_of_the_windows() -> None:
    """Thirty seconds for workers, three hundred for pods."""
    at_thirty = fed(9.0, *[5.0] * 15)
    assert (at_thirty.lately(1.0), at_thirty.lasting(1.0)) == (9.0, 9.0)
    later = fed(9.0, *[5.0] * 16)
    assert (later.lately(1.0), later.lasting(1.0)) == (5.0, 9.0)
    assert fed(9.0, *[5.0] * 151).lasting(1.0) == 5.0
    assert later.lately(7.0) == 7.0, "the need now is included"


def test_what_ran_counts_while_the_need_is_not_known() -> None:
    known = fed(2.0, None)
    assert peaks.peak(known.running_workers) == 3
    assert peaks.peak(known.running_replicas) == 4
    after = fed(*[2.0] * 16, known=known, start=4.0)
    assert peaks.peak(after.running_workers) is None
    assert peaks.peak(after.running_replicas) == 4, "the window of pods is longer"


@pytest.mark.parametrize("gap", [True, False])
def test_a_gap_is_a_time_of_which_the_need_is_not_known(gap: bool) -> None:
    known = add(fed(2.0), 60.0, 2.0, gap=gap)
    assert peaks.peak(known.running_workers) == (3 if gap else None)


def test_the_first_tick_remembers_what_runs() -> None:
    known = learn(None, facts(running=RUNNING))
    assert peaks.peak(known.running_workers) == 3
    assert known.samples == ()


def test_a_sample_is_the_highest_need_of_its_workers_window() -> None:
    known = fed(1.0, 4.0, 2.0, 2.0, 2.0, 2.0)
    assert known.samples == (1.0, 4.0), "one every ten seconds"
    assert known.sampled == EVERY
    assert fed(*[3.0] * 500).samples == (3.0,) * SAMPLES


def test_the_windows_of_the_spec_apply() -> None:
    short = spec(workers_down_after=4.0)
    known = add(fed(9.0, 1.0, 1.0), 6.0, 1.0, user_spec=short)
    assert known.lately(0.0) == 1.0
