"""Workers come before pods go."""

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, pod, row

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.guards.order_of_moves import guard
from aiapi_operator.sizing.inputs import PodSample


def ready(*workers: int) -> list[PodSample]:
    """Ready pods with so many ready workers."""
    return [
        pod(60.0, f"pod-{i}", workers_ready=each, workers_wanted=each)
        for i, each in enumerate(workers)
    ]


@pytest.mark.parametrize(
    ("pods", "proposed", "held"),
    [
        pytest.param(ready(2, 2, 2), (3, 2), True, id="workers are still to come"),
        pytest.param(ready(3, 2, 3), (3, 2), True, id="they are missing in one pod"),
        pytest.param(ready(3, 3, 3), (3, 2), False, id="they serve"),
        pytest.param(ready(2, 2, 2), (2, 2), False, id="no more workers are needed"),
        pytest.param(ready(2, 2, 2), (3, 3), False, id="no pod goes"),
        pytest.param([], (3, 2), True, id="no pod is ready"),
        pytest.param(
            [*ready(3, 3), pod(60.0, "new", ready=False, workers_ready=0)],
            (3, 2),
            False,
            id="a pod that is starting does not count",
        ),
    ],
)
def test_pods_stay_until_the_others_have_their_workers(
    pods: list[PodSample], proposed: tuple[int, int], held: bool
) -> None:
    now = facts(row(), running=size(2, 3), pods=pods)
    found = guard(size(*proposed), now, needed(6.0))
    if not held:
        assert found is None
        return
    assert found is not None
    assert (found.size, found.verdict) == (size(proposed[0], 3), Verdict.STABILIZING)
    assert found.why == "pods scale down once the others have their workers"
