"""ScalingLimited: the maximum or the rate limit keeps the fleet below the need."""

from dataclasses import replace

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.diagnoses.scaling_limited import check
from aiapi_operator.sizing.inputs import Bounds, MissingPods, Refusal, RefusedResize, Shortage

SMALL = spec(workers=Bounds(min=1, max=4), replicas=Bounds(min=2, max=5))


@pytest.mark.parametrize(
    ("workers", "replicas", "status", "reason", "message"),
    [
        pytest.param(
            20.5,
            5,
            True,
            "MaximumReached",
            "21 workers are needed, but at most 20 are allowed (replicas.max 5 x workers.max 4):"
            " requests will queue or be rejected. Raise replicas.max to 6, or raise workers.max.",
            id="over the maximum",
        ),
        pytest.param(
            4321.0,
            5,
            True,
            "MaximumReached",
            "4,320 workers are needed, but at most 20 are allowed (replicas.max 5 x workers.max"
            " 4): requests will queue or be rejected. Raise replicas.max to 1,080, or raise"
            " workers.max.",
            id="far over the maximum",
        ),
        pytest.param(
            12.5,
            3,
            True,
            "RateLimited",
            "13 workers are needed, but scaling.scaleUp.maxReplicasPerMinute 10 delays new pods."
            " Raise it if the cluster can start pods faster.",
            id="fewer pods than carry the need",
        ),
        pytest.param(
            20.0, 5, False, "WithinLimits", "The need is within the limits.", id="at the maximum"
        ),
        pytest.param(
            12.0, 3, False, "WithinLimits", "The need is within the limits.", id="the pods carry it"
        ),
    ],
)
def test_limits(workers: float, replicas: int, status: bool, reason: str, message: str) -> None:
    found = check(facts(row(), user_spec=SMALL), needed(workers), size(4, replicas))
    assert (found.type, found.status, found.reason) == ("ScalingLimited", status, reason)
    assert found.message == message


def test_without_metrics_it_is_unknown() -> None:
    found = check(facts(), needed(99.0), size(1, 2))
    assert (found.status, found.reason, found.message) == (None, "NoData", "The need is unknown.")


@pytest.mark.parametrize(
    ("workers", "replicas", "reason"),
    [(10.5, 5, "MaximumReached"), (10.0, 5, "WithinLimits"), (8.5, 4, "RateLimited")],
)
def test_the_workers_that_pods_can_have_are_the_limit(
    workers: float, replicas: int, reason: str
) -> None:
    now = facts(row(), user_spec=SMALL)
    refused = RefusedResize(pod="a", why=Refusal.DEFERRED, granted=2, message="")
    now.fleet = replace(now.fleet, refused=(refused,))
    found = check(now, needed(workers), size(2, replicas))
    assert found.reason == reason
    if reason == "MaximumReached":
        assert found.message == (
            "11 workers are needed, but at most 10 can run (replicas.max 5 x 2 workers per pod):"
            " requests will queue or be rejected. Raise replicas.max to 6, or give pods room for"
            " more workers, see ResizeDeferred."
        )


@pytest.mark.parametrize(
    ("shortage", "reason"), [(Shortage.QUOTA, "QuotaReached"), (Shortage.NODES, "NoNodes")]
)
def test_the_cluster_is_the_limit(shortage: Shortage, reason: str) -> None:
    now = facts(row(), user_spec=SMALL)
    missing = MissingPods(shortage=shortage, message="exceeded quota: q. Raise it.")
    now.fleet = replace(now.fleet, missing=missing)
    found = check(now, needed(12.5), size(4, 4))
    assert (found.status, found.reason) == (True, reason)
    assert found.message == (
        "13 workers are needed, but only 0 pods of 4 can run. exceeded quota: q. Raise it."
    )


def test_pods_that_are_missing_and_not_needed_are_no_limit() -> None:
    now = facts(row(), user_spec=SMALL)
    missing = MissingPods(shortage=Shortage.QUOTA, message="exceeded quota: q.")
    now.fleet = replace(now.fleet, missing=missing)
    assert check(now, needed(0.0), size(4, 1)).reason == "WithinLimits"


def test_pods_that_only_a_floor_asks_for_are_named_too() -> None:
    now = facts(row(), user_spec=SMALL)
    missing = MissingPods(shortage=Shortage.NODES, message="All nodes are cordoned.")
    now.fleet = replace(now.fleet, missing=missing)
    found = check(now, needed(0.0, min_replicas=4), size(2, 4))
    assert (found.status, found.reason) == (True, "NoNodes")
    assert found.message == (
        "4 workers are needed, but only 0 pods of 4 can run. All nodes are cordoned."
    )
