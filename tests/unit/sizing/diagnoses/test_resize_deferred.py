"""ResizeDeferred, by the pods whose resize waits for the node."""

from dataclasses import replace

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.diagnoses.resize_deferred import check

ADVICE = (
    ": the node lacks CPU or memory for more workers. Free resources on the node, lower workers.cpu"
    " or workers.max, or let a node autoscaler add nodes."
)


@pytest.mark.parametrize(
    ("waiting", "status", "reason", "message"),
    [
        (0, False, "NothingWaits", "No in-place resize is waiting for its node."),
        (1, True, "NodeIsFull", f"In-place resize is deferred for 1 pod{ADVICE}"),
        (3, True, "NodeIsFull", f"In-place resize is deferred for 3 pods{ADVICE}"),
    ],
)
def test_deferred_resizes(waiting: int, status: bool, reason: str, message: str) -> None:
    now = facts(row())
    now.fleet = replace(now.fleet, resize_deferred=waiting)
    found = check(now, needed(1.0), size(1, 2))
    assert (found.type, found.status, found.reason) == ("ResizeDeferred", status, reason)
    assert found.message == message
