"""Refused resizes by their times: when an answer counts, what is planned with, and the retries."""

from dataclasses import replace

import pytest
from engine_support.cluster import FakeCluster
from engine_support.samples import sample

from aiapi_operator.cluster.resize import PendingResize
from aiapi_operator.engine import grants
from aiapi_operator.engine.fleet import SampledPod
from aiapi_operator.engine.grants import Asked, Cause, GrantsState
from aiapi_operator.engine.pod_view import pod_view
from aiapi_operator.sizing.inputs import Refusal

NO_ROOM = Cause(Refusal.DEFERRED, "no room")
TOO_SMALL = Cause(Refusal.INFEASIBLE, "the node is too small")
LATE = "the kubelet has not carried out the resize for 10 s"


def cpu(workers: int) -> dict[str, dict[str, str]]:
    return {"requests": {"cpu": f"{500 * workers}m"}}


def pod(*, asked: int = 8, pending: PendingResize | None = None, running: int = 1) -> SampledPod:
    """A pod whose spec has the CPU of ``asked`` workers, and that has it for one."""
    view = pod_view(FakeCluster().add_pod("a-1"))
    view = replace(view, resources=cpu(asked), actual=cpu(1), resize_pending=pending)
    return SampledPod(pod=view, sample=sample("a-1", workers=running))


def resize(workers: int, time: float = 0.0) -> Asked:
    return Asked(workers=workers, resources=cpu(workers), time=time)


def refused(workers: int = 8, *, at: float = 0.0, cause: Cause = NO_ROOM) -> GrantsState:
    state = GrantsState()
    grants.refuse(state, pod(), resize(workers), cause, now=at)
    return state


def message(state: GrantsState, at: float, found: SampledPod) -> str:
    """Why the resize is refused after an observation; empty if it is not."""
    grants.observe(state, [found.pod], [found], now=at)
    (why, *_) = [each.message for each in grants.refused(state, [found.pod], now=at)] or [""]
    return why


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (TOO_SMALL, [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0, 600.0]),
        (NO_ROOM, [10.0, *[20.0] * 8]),
    ],
)
def test_each_attempt_is_twice_as_late_up_to_ten_minutes_or_20_s(
    cause: Cause, expected: list[float]
) -> None:
    state, now, waits = refused(cause=cause), 0.0, []
    for _ in expected:
        retry_at = state.refusals[pod().pod.uid].retry_at
        waits.append(retry_at - now)
        now = retry_at
        grants.refuse(state, pod(), resize(2, now), cause, now=now)
    assert waits == expected


def test_an_attempt_before_its_time_delays_no_other() -> None:
    state = refused()
    grants.refuse(state, pod(), resize(4), NO_ROOM, now=5.0)
    assert state.refusals[pod().pod.uid].retry_at == 10.0


@pytest.mark.parametrize(("at", "planned"), [(0.0, 4), (9.9, 4), (10.0, 1), (60.0, 1)])
def test_the_number_that_is_searched_for_counts_for_ten_seconds(at: float, planned: int) -> None:
    (found,) = grants.refused(refused(), [pod().pod], now=at)
    assert found.granted == planned


@pytest.mark.parametrize(
    ("wanted", "at", "asked"), [(8, 9.9, 4), (5, 9.9, 4 + 1), (8, 10.0, 8), (1, 10.0, 2)]
)
def test_what_is_asked_for_next(wanted: int, at: float, asked: int) -> None:
    assert grants.to_ask(refused(), pod().pod, wanted, now=at) == asked


def test_the_refused_resize_is_repeated_only_when_it_is_time() -> None:
    state, view = refused(), pod().pod
    assert not grants.may_ask(state, view, resize(8, 9.9))
    assert not grants.may_ask(state, view, replace(resize(4, 9.9), resources=cpu(8)))
    assert grants.may_ask(state, view, resize(4, 9.9))
    assert grants.may_ask(state, view, resize(8, 10.0))
    assert grants.may_ask(GrantsState(), view, resize(8))


def test_without_an_answer_a_resize_is_refused_after_ten_seconds() -> None:
    state = GrantsState(unanswered={pod().pod.uid: resize(8, 100.0)})
    assert message(state, 110.0, pod()) == ""
    assert message(state, 110.1, pod()) == LATE


@pytest.mark.parametrize(("current", "after"), [(True, 0.0), (False, 3.0)])
def test_an_answer_to_an_older_resize_counts_after_three_seconds(
    current: bool, after: float
) -> None:
    pending = PendingResize(reason="Deferred", message="no room", current=current)
    state = GrantsState(unanswered={pod().pod.uid: resize(8, 100.0)})
    if after:
        assert message(state, 99.9 + after, pod(pending=pending)) == ""
    assert message(state, 100.0 + after, pod(pending=pending)) == "no room"


def test_a_pending_resize_that_asks_for_nothing_more_is_no_refusal() -> None:
    pending = PendingResize(reason="Deferred", message="no room", current=True)
    assert message(GrantsState(), 100.0, pod(asked=1, pending=pending)) == ""


def test_a_pod_that_runs_as_many_workers_is_not_refused_any_more() -> None:
    state = refused(4)
    assert message(state, 1.0, pod(running=3)) == "no room"
    assert state.refusals[pod().pod.uid].granted == 3
    assert message(state, 1.0, pod(running=4)) == ""


def test_a_pod_that_is_gone_is_forgotten() -> None:
    state = refused()
    grants.observe(state, [], [], now=1.0)
    assert state == GrantsState()
