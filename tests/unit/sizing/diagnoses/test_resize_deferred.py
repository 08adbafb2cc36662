"""ResizeDeferred: pods cannot have the workers that the load needs."""

from dataclasses import replace

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.resize_deferred import check
from aiapi_operator.sizing.inputs import Refusal, RefusedResize


def checked(need: float, *refused: tuple[Refusal, int], min_workers: int = 1) -> Condition:
    now = facts(row())
    pods = tuple(
        RefusedResize(pod=f"a-{index}", why=why, granted=granted, message="cpu is short.")
        for index, (why, granted) in enumerate(refused)
    )
    now.fleet = replace(now.fleet, refused=pods)
    return check(now, replace(needed(need), min_workers=min_workers), size(1, 2))


@pytest.mark.parametrize(
    ("why", "reason", "hint"),
    [
        pytest.param(
            Refusal.DEFERRED,
            "NodeIsFull",
            "Free CPU and memory on the node, lower workers.cpu or workers.memory, or let a node"
            " autoscaler add nodes.",
        ),
        pytest.param(
            Refusal.INFEASIBLE,
            "NodeTooSmall",
            "Use larger nodes, lower workers.cpu or workers.memory, or set workers.max to what"
            " fits.",
        ),
        pytest.param(
            Refusal.INVALID,
            "ResizeInvalid",
            "Remove or raise the limit in spec.podTemplate or the LimitRange, or set workers.max to"
            " what it allows. A pod whose limits equal its requests (QoS class Guaranteed) cannot"
            " be resized.",
        ),
        pytest.param(
            Refusal.FORBIDDEN,
            "ResizeForbidden",
            "Raise the ResourceQuota or the LimitRange that the message names, or allow the"
            " operator to patch pods/resize.",
        ),
    ],
)
def test_the_reason_and_what_helps(why: Refusal, reason: str, hint: str) -> None:
    found = checked(6.0, (why, 1))
    assert (found.type, found.status, found.reason) == ("ResizeDeferred", True, reason)
    assert found.message == (
        f"1 pod cannot be resized for more workers. a-0 stays at 1 worker: cpu is short. {hint}"
    )


def test_the_most_frequent_reason_and_its_smallest_pod_are_shown() -> None:
    found = checked(6.0, (Refusal.INVALID, 1), (Refusal.DEFERRED, 2), (Refusal.DEFERRED, 1))
    assert found.reason == "NodeIsFull"
    assert "3 pods cannot be resized for more workers. a-2 stays at 1 worker" in found.message


def test_it_is_false_when_nothing_is_refused() -> None:
    found = checked(6.0)
    assert (found.status, found.reason) == (False, "NothingWaits")
    assert found.message == "No in-place resize is waiting for its node."


@pytest.mark.parametrize(
    ("need", "granted", "status"), [(4.0, 2, False), (4.1, 2, True), (4.0, 1, True)]
)
def test_it_is_false_while_the_fewest_pods_carry_the_need_as_granted(
    need: float, granted: int, status: bool
) -> None:
    """Two pods are the minimum."""
    assert checked(need, (Refusal.DEFERRED, granted)).status is status


def test_the_pod_that_got_the_fewest_workers_decides() -> None:
    found = checked(4.0, (Refusal.DEFERRED, 3), (Refusal.DEFERRED, 1))
    assert (found.status, found.reason) == (True, "NodeIsFull")


@pytest.mark.parametrize(("floor", "status"), [(2, False), (3, True)])
def test_a_floor_of_workers_needs_them_too(floor: int, status: bool) -> None:
    assert checked(0.5, (Refusal.DEFERRED, 2), min_workers=floor).status is status
