"""WorkersFailing, by what pods report of workers that do not start."""

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, pod, row

from aiapi_operator.sizing.diagnoses.workers_failing import check
from aiapi_operator.sizing.inputs import PodSample

BROKEN = "ModuleNotFoundError: No module named 'torch'"
CHECK = f": {BROKEN}. Check spec.app, spec.image and spec.env; kubectl logs a-1 has the full"


@pytest.mark.parametrize(
    ("pods", "status", "reason", "message"),
    [
        pytest.param(
            [pod(60.0, "a-1", failure=BROKEN, workers_ready=0)],
            True,
            "AppFailed",
            f"Workers fail to start in 1 pod (first in a-1){CHECK} traceback.",
            id="none serves",
        ),
        pytest.param(
            [
                pod(60.0, "a-0"),
                pod(60.0, "a-1", failure=BROKEN),
                pod(60.0, "a-2", failure="another"),
            ],
            True,
            "SomeWorkersFail",
            f"Workers fail to start in 2 pods (first in a-1){CHECK} traceback.",
            id="some serve",
        ),
        pytest.param(
            [pod(60.0, "a-1")], False, "WorkersStart", "Workers start normally.", id="all serve"
        ),
        pytest.param([], None, "NoData", "No pod can be scraped.", id="no pod answers"),
    ],
)
def test_failing_workers(
    pods: list[PodSample], status: bool | None, reason: str, message: str
) -> None:
    found = check(facts(row(), pods=pods), needed(1.0), size(1, 2))
    assert (found.type, found.status, found.reason) == ("WorkersFailing", status, reason)
    assert found.message == message
