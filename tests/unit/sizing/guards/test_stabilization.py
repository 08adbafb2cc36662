"""Scaling down waits for the highest need of the window."""

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, pod, row

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.guards.stabilization import YOUNG, guard_replicas, guard_workers
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.learners.need_history import NeedHistory

WORKERS = "workers scale down once the need has been lower for 30 s"
PODS = "pods scale down once the need has been lower for 300 s"


def history(
    *, workers: float = 0.0, replicas: float = 0.0, ran: tuple[int, int] | None = None
) -> NeedHistory:
    """The highest needs of the windows, and what ran while the need was unknown."""
    return NeedHistory(
        workers=((0.0, workers),),
        replicas=((0.0, replicas),),
        running_workers=() if ran is None else ((0.0, float(ran[0])),),
        running_replicas=() if ran is None else ((0.0, float(ran[1])),),
    )


@pytest.mark.parametrize(
    ("known", "running", "proposed", "allowed", "reason"),
    [
        pytest.param(
            history(workers=5.0), (4, 2), (1, 2), 3, WORKERS, id="the highest need of the window"
        ),
        pytest.param(
            history(workers=9.0), (4, 2), (1, 2), 4, WORKERS, id="never more than run already"
        ),
        pytest.param(history(workers=2.0), (4, 2), (1, 2), None, "", id="the window has passed"),
        pytest.param(
            history(workers=1.0, ran=(3, 2)), (4, 2), (1, 2), 3, YOUNG, id="the need was unknown"
        ),
        pytest.param(history(workers=9.0), (4, 2), (4, 2), None, "", id="nothing is removed"),
        pytest.param(history(workers=9.0), (4, 2), (6, 2), None, "", id="workers are added"),
        pytest.param(
            history(workers=12.0), (4, 3), (4, 2), 6, WORKERS, id="fewer pods need more workers"
        ),
        pytest.param(history(workers=8.5), (4, 3), (4, 2), 5, WORKERS, id="6 % more is not"),
        pytest.param(
            history(workers=40.0), (4, 3), (4, 2), 8, WORKERS, id="no more than workers.max"
        ),
    ],
)
def test_workers_wait_for_their_window(
    known: NeedHistory,
    running: tuple[int, int],
    proposed: tuple[int, int],
    allowed: int | None,
    reason: str,
) -> None:
    now = facts(row(), running=size(*running), known=[known])
    found = guard_workers(size(*proposed), now, needed(2.0))
    if allowed is None:
        assert found is None
        return
    assert found is not None
    assert (found.size, found.why) == (size(allowed, proposed[1]), reason)
    verdict = Verdict.WARMING_UP if reason == YOUNG else Verdict.STABILIZING
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("known", "proposed", "allowed", "reason"),
    [
        pytest.param(history(replicas=30.0), 2, 4, PODS, id="the highest need of the window"),
        pytest.param(history(replicas=99.0), 2, 6, PODS, id="never more than run already"),
        pytest.param(history(replicas=16.0), 2, None, "", id="fewer pods can carry it"),
        pytest.param(history(ran=(1, 5)), 2, 5, YOUNG, id="the need was unknown"),
        pytest.param(history(replicas=99.0), 6, None, "", id="nothing is removed"),
        pytest.param(history(replicas=99.0), 7, None, "", id="pods are added"),
    ],
)
def test_pods_wait_for_their_window(
    known: NeedHistory, proposed: int, allowed: int | None, reason: str
) -> None:
    now = facts(row(), running=size(2, 6), known=[known])
    found = guard_replicas(size(8, proposed), now, needed(2.0))
    if allowed is None:
        assert found is None
        return
    assert found is not None
    assert (found.size, found.why) == (size(8, allowed), reason)
    verdict = Verdict.WARMING_UP if reason == YOUNG else Verdict.STABILIZING
    assert found.verdict is verdict


def test_the_share_that_survives_a_lost_pod_is_the_current_one() -> None:
    # 12 workers were needed, 9 of them with a pod lost: 2 pods x 9, not x 6.
    now = facts(row(), running=size(8, 3), known=[history(workers=12.0)])
    found = guard_workers(size(1, 2), now, needed(4.0, 3.0))
    assert found is not None
    assert found.size == size(8, 2), "9 are more than workers.max"
    large = facts(
        row(),
        user_spec=spec(workers=Bounds(min=1, max=12)),
        running=size(12, 3),
        known=[history(workers=12.0)],
    )
    found = guard_workers(size(1, 2), large, needed(4.0, 3.0))
    assert found is not None
    assert found.size == size(9, 2)


def test_pods_that_do_not_serve_carry_nothing() -> None:
    pods = [pod(60.0, "a"), pod(60.0, "b", ready=False), pod(60.0, "c", ready=False)]
    now = facts(row(), running=size(8, 3), known=[history(workers=6.0)], pods=pods)
    found = guard_workers(size(2, 3), now, needed(2.0))
    assert found is not None
    assert found.size == size(6, 3)


def test_long_after_the_start_an_unknown_need_is_not_the_reason() -> None:
    now = facts(row(), running=size(4, 2), known=[history(ran=(4, 2))], now=900.0)
    found = guard_workers(size(1, 2), now, needed(2.0))
    assert found is not None
    assert (found.verdict, found.why) == (Verdict.STABILIZING, WORKERS)


def test_without_a_history_nothing_is_held() -> None:
    now = facts(row(), running=size(4, 4))
    assert guard_workers(size(1, 4), now, needed(2.0)) is None
    assert guard_replicas(size(1, 2), now, needed(2.0)) is None
