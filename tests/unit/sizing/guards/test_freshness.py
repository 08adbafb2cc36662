"""Nothing shrinks while the load of ready pods is unknown."""

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, pod, row

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.guards.freshness import guard
from aiapi_operator.sizing.inputs import PodSample, PodUnknown

ANSWERS = pod(60.0, "a")
SILENT = PodUnknown(pod="b", ready=True, reason="timeout")
STARTING = PodUnknown(pod="c", ready=False, reason="starting")


@pytest.mark.parametrize(
    ("pods", "proposed", "allowed"),
    [
        pytest.param([ANSWERS, SILENT], (1, 2), (4, 4), id="neither workers nor pods"),
        pytest.param([ANSWERS, SILENT], (6, 2), (6, 4), id="more workers are allowed"),
        pytest.param([ANSWERS, SILENT], (2, 6), (4, 6), id="more pods are allowed"),
        pytest.param([ANSWERS, SILENT], (4, 4), None, id="nothing shrinks"),
        pytest.param([ANSWERS, STARTING], (1, 2), None, id="a pod that is not ready may be silent"),
        pytest.param([ANSWERS], (1, 2), None, id="all answer"),
    ],
)
def test_nothing_shrinks_while_a_ready_pod_is_silent(
    pods: list[PodSample | PodUnknown], proposed: tuple[int, int], allowed: tuple[int, int] | None
) -> None:
    now = facts(row(), running=size(4, 4), pods=pods)
    found = guard(size(*proposed), now, needed(2.0))
    if allowed is None:
        assert found is None
        return
    assert found is not None
    assert (found.size, found.verdict) == (size(*allowed), Verdict.HOLDING)
    assert found.why == "no scale-down while ready pods cannot be scraped (b: timeout)"
