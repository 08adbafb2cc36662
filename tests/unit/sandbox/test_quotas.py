"""ResourceQuotas: what counts, and what they refuse at creation and resize."""

from typing import Any

import pytest

from aiapi_sandbox.apimachinery.errors import ApiError
from aiapi_sandbox.controllers.manager import ObjectKey
from aiapi_sandbox.controllers.quota_status import ResourceQuotaController
from aiapi_sandbox.controllers.replicaset import ReplicaSetController
from aiapi_sandbox.kinds.resources import EVENTS, PODS, REPLICASETS, RESOURCEQUOTAS
from aiapi_sandbox.storage.store import Store


@pytest.fixture
def store() -> Store:
    return Store()


def quota(store: Store, **hard: str) -> None:
    names = {"requests_cpu": "requests.cpu", "limits_cpu": "limits.cpu", "count_pods": "count/pods"}
    spec = {"hard": {names.get(name, name): amount for name, amount in hard.items()}}
    store.create(RESOURCEQUOTAS, {"metadata": {"name": "q", "namespace": "default"}, "spec": spec})


def pod(name: str = "p", resources: Any = None) -> dict[str, Any]:
    container = {"name": "c", "image": "i:1", "resources": resources or {}}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container]},
    }


def cpu(amount: str) -> dict[str, Any]:
    return {"requests": {"cpu": amount}}


def refusal(call: Any, *args: Any) -> str:
    with pytest.raises(ApiError) as caught:
        call(*args)
    assert (caught.value.status, caught.value.reason) == (403, "Forbidden")
    return caught.value.message


def test_a_pod_beyond_the_quota_is_forbidden(store: Store) -> None:
    quota(store, requests_cpu="1", pods="5")
    store.create(PODS, pod("a", cpu("700m")))
    assert refusal(store.create, PODS, pod("b", cpu("400m"))) == (
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=400m, '
        "used: requests.cpu=700m, limited: requests.cpu=1"
    )
    store.create(PODS, pod("c", cpu("300m")))


def test_a_quota_of_pods(store: Store) -> None:
    quota(store, pods="1", memory="1Gi")
    small = {"requests": {"memory": "512Mi"}}
    store.create(PODS, pod("a", small))
    assert refusal(store.create, PODS, pod("b", {"requests": {"memory": "768Mi"}})) == (
        'pods "b" is forbidden: exceeded quota: q, requested: memory=768Mi,pods=1, '
        "used: memory=512Mi,pods=1, limited: memory=1Gi,pods=1"
    )


def test_a_counted_resource_must_be_set(store: Store) -> None:
    quota(store, requests_cpu="1", limits_cpu="1")
    assert refusal(store.create, PODS, pod("a", cpu("1"))) == (
        'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: c'
    )
    assert refusal(store.create, PODS, pod("a")) == (
        'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: c; '
        "requests.cpu for: c"
    )


def resized(store: Store, name: str, amount: str) -> Any:
    found = store.get(PODS, "default", name)
    found["spec"]["containers"][0]["resources"] = cpu(amount)
    return store.update(PODS, found, "resize")


def test_a_resize_counts_what_it_adds(store: Store) -> None:
    quota(store, requests_cpu="1")
    store.create(PODS, pod("a", cpu("600m")))
    store.create(PODS, pod("b", cpu("200m")))
    assert refusal(resized, store, "a", "900m") == (
        'pods "a" is forbidden: exceeded quota: q, requested: requests.cpu=300m, '
        "used: requests.cpu=800m, limited: requests.cpu=1"
    )
    resized(store, "a", "800m")
    resized(store, "a", "100m")
    store.create(PODS, pod("c", cpu("700m")))


def test_an_ended_pod_frees_its_requests(store: Store) -> None:
    quota(store, requests_cpu="1", count_pods="2")
    store.create(PODS, pod("a", cpu("1")))

    def succeed(found: Any) -> None:
        found["status"]["phase"] = "Succeeded"

    store.mutate(PODS, "default", "a", succeed, "status")
    store.create(PODS, pod("b", cpu("1")))
    assert "count/pods=2" in refusal(store.create, PODS, pod("c", {"requests": {"cpu": "0"}}))


def test_the_status_has_what_is_used(store: Store) -> None:
    quota(store, requests_cpu="1500m", pods="5")
    store.create(PODS, pod("a", cpu("700m")))
    controller = ResourceQuotaController(store)
    controller.reconcile(ObjectKey("default", "q"))
    assert store.get(RESOURCEQUOTAS, "default", "q")["status"] == {
        "hard": {"pods": "5", "requests.cpu": "1500m"},
        "used": {"pods": "1", "requests.cpu": "700m"},
    }


def test_a_replica_set_reports_the_refusal(store: Store) -> None:
    quota(store, pods="1")
    labels = {"app": "web"}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod()["spec"]},
    }
    meta = {"name": "web", "namespace": "default"}
    store.create(REPLICASETS, {"metadata": meta, "spec": spec})
    ReplicaSetController(store).reconcile(ObjectKey("default", "web"))
    (condition,) = store.get(REPLICASETS, "default", "web")["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedCreate")
    assert "is forbidden: exceeded quota: q, requested: pods=1" in condition["message"]
    (event,) = store.list(EVENTS, fields="reason=FailedCreate")
    assert event["message"] == f"Error creating: {condition['message']}"


@pytest.mark.parametrize("spec", [{"hard": {"services": "1"}}, {"scopes": ["BestEffort"]}])
def test_what_is_not_enforced_is_refused(store: Store, spec: dict[str, Any]) -> None:
    meta = {"name": "q", "namespace": "default"}
    with pytest.raises(ApiError, match="the sandbox does not implement"):
        store.create(RESOURCEQUOTAS, {"metadata": meta, "spec": spec})
