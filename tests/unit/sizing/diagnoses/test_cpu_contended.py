"""CPUContended: which pods wait for a CPU, and for how long that must last."""

from collections.abc import Iterable
from typing import Any

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, learned, row

from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.cpu_contended import ContendedLatch, check, learn
from aiapi_operator.sizing.state import Tick

CROWDED: dict[str, Any] = {"crowded": (("a-2", 0.62), ("a-1", 0.4)), "waited": 1.2}
"""4 workers wait for 1.2 s per second."""


def found(ticks: Iterable[Tick]) -> Condition:
    ticks = tuple(ticks)
    known = learned(learn, ticks)
    return check(facts(ticks[-30:], known=[known]), needed(1.0), size(2, 2))


def test_the_share_of_the_time_and_the_pods_are_named() -> None:
    each = found(row(**CROWDED))
    assert (each.type, each.status, each.reason) == ("CPUContended", True, "WaitingForCPU")
    assert each.message == (
        "Workers waited for a CPU for 30 % of the last minute (most in a-2 62 %, a-1 40 %), so"
        " requests are slow. Raise workers.cpu, or move the pods to nodes with free CPU. More"
        " workers in the same pods do not help, so none are added for it."
    )


def test_a_limit_that_throttles_is_named_as_a_cause() -> None:
    assert found(row(**CROWDED, throttled=0.05)).message.endswith("see CPUThrottled.")
    assert "CPUThrottled" not in found(row(**CROWDED, throttled=0.04)).message


@pytest.mark.parametrize(
    ("crowded", "quiet", "status"),
    [(4, 0, False), (8, 0, True), (8, 12, True), (8, 20, False)],
    ids=["8 s", "16 s", "16 s, then 24 s without", "16 s, then 40 s without"],
)
def test_it_turns_after_a_while(crowded: int, quiet: int, status: bool) -> None:
    ticks = [*row(10), *row(crowded, start=20.0, **CROWDED)]
    ticks += row(quiet, start=20.0 + 2.0 * crowded)
    assert found(ticks).status is status


def test_one_tick_in_between_neither_starts_nor_ends_it() -> None:
    once = (*row(10), *row(1, start=20.0, **CROWDED), *row(10, start=22.0))
    assert found(once).status is False


def test_the_reasons_when_it_is_not_true() -> None:
    quiet = found(row())
    assert (quiet.reason, quiet.message) == (
        "CPUAvailable",
        "Workers get a CPU when they need one.",
    )
    unknown = found(row(waits_known=False))
    assert (unknown.status, unknown.reason) == (None, "NotMeasured")
    assert "/proc/PID/task/TID/schedstat" in unknown.message
    nothing = check(facts(), needed(1.0), size(2, 2))
    assert (nothing.status, nothing.reason) == (None, "NoData")


def test_without_workers_nothing_fails() -> None:
    ticks = row(40, **CROWDED, workers=0.0)
    known = ContendedLatch(on=True)
    assert check(facts(ticks, known=[known]), needed(1.0), size(2, 2)).status is True
