"""HorizontalPodAutoscalers in a cluster without a metrics API."""

from typing import Any

import pytest

from aiapi_sandbox.apimachinery.errors import ApiError
from aiapi_sandbox.controllers.horizontal_autoscaler import HorizontalAutoscalerController
from aiapi_sandbox.controllers.manager import ObjectKey
from aiapi_sandbox.kinds.resources import DEPLOYMENTS, EVENTS, HORIZONTALPODAUTOSCALERS
from aiapi_sandbox.storage.store import Store


@pytest.fixture
def store() -> Store:
    store = Store()
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    store.create(DEPLOYMENTS, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    return store


def autoscaler(least: int, most: int, target: str = "web") -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    spec = {"minReplicas": least, "maxReplicas": most, "scaleTargetRef": reference}
    return {"metadata": {"name": "h", "namespace": "default"}, "spec": spec}


def reconcile(store: Store) -> dict[str, Any]:
    HorizontalAutoscalerController(store).reconcile(ObjectKey("default", "h"))
    found: dict[str, Any] = store.get(HORIZONTALPODAUTOSCALERS, "default", "h")["status"]
    return found


def replicas(store: Store) -> int:
    return int(store.get(DEPLOYMENTS, "default", "web")["spec"]["replicas"])


@pytest.mark.parametrize(
    ("least", "most", "expected", "reason"),
    [
        (3, 5, 3, "Current number of replicas below Spec.MinReplicas"),
        (1, 1, 1, "Current number of replicas above Spec.MaxReplicas"),
    ],
)
def test_replicas_move_into_the_bounds(
    store: Store, least: int, most: int, expected: int, reason: str
) -> None:
    store.create(HORIZONTALPODAUTOSCALERS, autoscaler(least, most))
    status = reconcile(store)
    assert (replicas(store), status["desiredReplicas"]) == (expected, expected)
    able, active = status["conditions"]
    assert (able["type"], able["reason"]) == ("AbleToScale", "SucceededRescale")
    assert (active["status"], active["reason"]) == ("False", "FailedGetResourceMetric")
    (event,) = store.list(EVENTS, fields="reason=SuccessfulRescale")
    assert event["message"] == f"New size: {expected}; reason: {reason}"


def test_within_the_bounds_nothing_moves(store: Store) -> None:
    store.create(HORIZONTALPODAUTOSCALERS, autoscaler(1, 5))
    assert reconcile(store)["desiredReplicas"] == 2
    assert replicas(store) == 2


def test_a_missing_target_is_reported(store: Store) -> None:
    store.create(HORIZONTALPODAUTOSCALERS, autoscaler(1, 5, "nothing"))
    (able,) = reconcile(store)["conditions"]
    assert (able["status"], able["reason"]) == ("False", "FailedGetScale")


def test_bounds_are_validated(store: Store) -> None:
    with pytest.raises(ApiError, match="must be greater than or equal to `minReplicas`"):
        store.create(HORIZONTALPODAUTOSCALERS, autoscaler(3, 2))
