"""The resize subresource: what the API server refuses."""

from typing import Any

import pytest

from aiapi_sandbox.apimachinery.errors import ApiError
from aiapi_sandbox.kinds.resources import NODES, PODS
from aiapi_sandbox.storage.store import Store


@pytest.fixture
def store() -> Store:
    store = Store()
    status = {"allocatable": {"cpu": "2", "memory": "4Gi"}}
    store.create(NODES, {"metadata": {"name": "n"}, "status": status})
    store.mutate(NODES, None, "n", lambda node: node.update(status=status), "status")
    containers = [
        {
            "name": "c",
            "image": "i:1",
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}},
        }
    ]
    meta = {"name": "p", "namespace": "default"}
    store.create(PODS, {"metadata": meta, "spec": {"nodeName": "n", "containers": containers}})
    return store


def resize(store: Store, resources: dict[str, Any]) -> Any:
    found = store.get(PODS, "default", "p")
    found["spec"]["containers"][0]["resources"] = resources
    return store.update(PODS, found, "resize")


def test_beyond_the_node(store: Store) -> None:
    wanted = {"requests": {"cpu": "2500m", "memory": "1Gi"}, "limits": {"cpu": "3"}}
    with pytest.raises(ApiError) as caught:
        resize(store, wanted)
    assert caught.value.status == 403
    assert caught.value.message == (
        'pods "p" is forbidden: node didn\'t have enough allocatable resources: cpu, '
        "requested: 2500, allocatable: 2000"
    )


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        (
            {"requests": {"cpu": "1", "memory": "1Gi"}},
            "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
        ),
        (
            {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}},
            "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
        ),
        (
            {"requests": {"cpu": "3", "memory": "1Gi"}, "limits": {"cpu": "2"}},
            (
                'spec.containers[0].resources.requests: Invalid value: "3": '
                "must be less than or equal to cpu limit of 2"
            ),
        ),
        (
            {
                "requests": {"cpu": "2", "memory": "1Gi"},
                "limits": {"cpu": "2", "memory": "1Gi"},
            },
            (
                'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of '
                "resizing"
            ),
        ),
    ],
)
def test_invalid_resizes(store: Store, resources: dict[str, Any], why: str) -> None:
    with pytest.raises(ApiError) as caught:
        resize(store, resources)
    assert (caught.value.status, caught.value.reason) == (422, "Invalid")
    assert caught.value.message == f'Pod "p" is invalid: {why}'
