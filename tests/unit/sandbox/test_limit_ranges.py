"""LimitRanges: defaults for containers, and what they refuse."""

from typing import Any

import pytest

from aiapi_sandbox.apimachinery.errors import ApiError
from aiapi_sandbox.kinds.resources import LIMITRANGES, PODS
from aiapi_sandbox.storage.store import Store


@pytest.fixture
def store() -> Store:
    return Store()


def limit(store: Store, kind: str = "Container", **item: Any) -> None:
    meta = {"name": "l", "namespace": "default"}
    store.create(LIMITRANGES, {"metadata": meta, "spec": {"limits": [{"type": kind, **item}]}})


def pod(**resources: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i:1", "resources": resources}]
    return {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": containers}}


def refusal(store: Store, **resources: Any) -> str:
    with pytest.raises(ApiError) as caught:
        store.create(PODS, pod(**resources))
    assert caught.value.status in {403, 422}
    return caught.value.message


def test_defaults_of_a_container(store: Store) -> None:
    limit(store, default={"cpu": "500m"}, defaultRequest={"cpu": "100m", "memory": "64Mi"})
    made = store.create(PODS, pod(requests={"memory": "32Mi"}))
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "500m"},
        "requests": {"cpu": "100m", "memory": "32Mi"},
    }
    assert made["status"]["qosClass"] == "Burstable"
    assert made["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container c; "
        "cpu limit for container c"
    }


def test_the_default_limit_derives_from_max(store: Store) -> None:
    limit(store, max={"cpu": "1"})
    made = store.create(PODS, pod())
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "1"},
        "requests": {"cpu": "1"},
    }


def test_a_default_limit_below_the_request_is_invalid(store: Store) -> None:
    limit(store, default={"cpu": "500m"})
    assert "must be less than or equal to cpu limit of 500m" in refusal(
        store, requests={"cpu": "1"}
    )


@pytest.mark.parametrize(
    ("kind", "item", "resources", "why"),
    [
        (
            "Container",
            {"max": {"cpu": "500m"}},
            {"limits": {"cpu": "1"}},
            "maximum cpu usage per Container is 500m, but limit is 1",
        ),
        (
            "Container",
            {"min": {"memory": "64Mi"}},
            {"requests": {"memory": "32Mi"}},
            "minimum memory usage per Container is 64Mi, but request is 32Mi",
        ),
        (
            "Pod",
            {"max": {"cpu": "500m"}},
            {"requests": {"cpu": "1"}},
            "maximum cpu usage per Pod is 500m.  No limit is specified",
        ),
        (
            "Container",
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "100m"}, "limits": {"cpu": "400m"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 4",
        ),
    ],
)
def test_what_it_refuses(
    store: Store, kind: str, item: dict[str, Any], resources: dict[str, Any], why: str
) -> None:
    limit(store, kind, **item)
    assert refusal(store, **resources).startswith(f'pods "p" is forbidden: {why}')


def test_a_resize_is_checked_too(store: Store) -> None:
    limit(store, max={"cpu": "1"})
    store.create(PODS, pod(requests={"cpu": "100m"}, limits={"cpu": "500m"}))
    found = store.get(PODS, "default", "p")
    found["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "2"
    with pytest.raises(ApiError, match="maximum cpu usage per Container is 1, but limit is 2"):
        store.update(PODS, found, "resize")
