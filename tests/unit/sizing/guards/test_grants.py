"""The workers that pods can have."""

from dataclasses import replace

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, pod, row

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.guards.grants import guard
from aiapi_operator.sizing.inputs import Refusal, RefusedResize


@pytest.mark.parametrize(
    ("granted", "workers", "allowed"),
    [
        ({}, 8, None),
        ({"a": 1, "b": 2}, 3, 2),
        ({"a": 1, "b": 2}, 2, None),
        ({"a": 1}, 8, None),
    ],
)
def test_no_more_are_ordered_than_some_pod_can_have(
    granted: dict[str, int], workers: int, allowed: int | None
) -> None:
    now = facts(row(), pods=[pod(60.0, "a"), pod(60.0, "b"), pod(60.0, "c", ready=False)])
    refused = (
        RefusedResize(pod=name, why=Refusal.DEFERRED, granted=count, message="")
        for name, count in granted.items()
    )
    now.fleet = replace(now.fleet, refused=tuple(refused))
    found = guard(size(workers, 3), now, needed(9.0))
    if allowed is None:
        assert found is None
        return
    assert found is not None
    assert (found.size, found.verdict) == (size(allowed, 3), Verdict.LIMITED)
    assert found.why == f"pods cannot have more than {allowed} workers each, see ResizeDeferred"
