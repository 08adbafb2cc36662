"""EventLoopBlocked: remembered for a minute, with the place in the code."""

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, learned, pod, row

from aiapi_operator.sizing.diagnoses.event_loop_blocked import BlockedLoop, check, learn
from aiapi_operator.sizing.inputs import PodUnknown

BLOCKED = pod(60.0, "a-1", workers_blocked=1, blocked_at="app.py:12 slow")
TURNS = pod(60.0, "a-1")


@pytest.mark.parametrize(
    ("known", "where"),
    [
        (BlockedLoop(time=0.0, where="app.py:12 slow", pod="a-1"), "app.py:12 slow"),
        (BlockedLoop(time=0.0, where="", pod="a-1"), "an unknown location"),
    ],
)
def test_a_blocked_loop_is_reported_with_its_place(known: BlockedLoop, where: str) -> None:
    found = check(facts(row(), known=[known], pods=[TURNS]), needed(1.0), size(1, 2))
    assert (found.type, found.status) == ("EventLoopBlocked", True)
    assert found.reason == "BlockingCall"
    assert found.message == (
        f"An event loop in pod a-1 was blocked at {where}: every request of that worker waited."
        " Await an async version of the call, or move it to a thread with asyncio.to_thread."
    )


def test_loops_that_turn() -> None:
    found = check(facts(row(), pods=[TURNS]), needed(1.0), size(1, 2))
    assert (found.status, found.reason) == (False, "LoopsTurn")
    assert found.message == "No event loop has been blocked recently."


def test_without_metrics_it_is_unknown() -> None:
    silent = PodUnknown(pod="a-1", ready=True, reason="timeout")
    found = check(facts(row(), pods=[silent]), needed(1.0), size(1, 2))
    assert (found.status, found.reason) == (None, "NoData")
    assert found.message == "No ready pod can be scraped."


def test_a_block_is_remembered_for_a_minute() -> None:
    seen = learn(None, facts(row(), pods=[BLOCKED], now=60.0))
    assert seen == BlockedLoop(time=60.0, where="app.py:12 slow", pod="a-1")
    assert learn(seen, facts(now=120.0)) == seen
    assert learn(seen, facts(now=121.0)) is None
    other = pod(100.0, "a-2", workers_blocked=2, blocked_at="b.py:1 f")
    again = learn(seen, facts(now=100.0, pods=[TURNS, other]))
    assert again == BlockedLoop(time=100.0, where="b.py:1 f", pod="a-2")


def test_a_worker_that_waits_for_cpu_is_not_blocked() -> None:
    assert learn(None, facts(row(contended=True), pods=[BLOCKED])) is None
    known = BlockedLoop(time=0.0, where="app.py:12 slow", pod="a-1")
    assert learned(learn, row(contended=True), known, pods=[BLOCKED]) == known


def test_a_place_that_is_found_later_is_reported() -> None:
    blocked = pod(60.0, "a-1", workers_blocked=1)
    seen = learn(None, facts(row(), pods=[blocked], now=60.0))
    assert seen == BlockedLoop(time=60.0, where="", pod="a-1")
    turns = [pod(62.0, "a-2", blocked_at="b.py:1 f"), pod(62.0, "a-1", blocked_at="app.py:12 slow")]
    located = learn(seen, facts(row(), pods=turns, now=62.0))
    assert located == BlockedLoop(time=60.0, where="app.py:12 slow", pod="a-1")
    assert learn(located, facts(row(), pods=[TURNS], now=64.0)) == located
