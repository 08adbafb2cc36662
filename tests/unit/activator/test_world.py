"""What the activator reads from AIApis and pods, and when it says that something changed."""

from typing import Any

import pytest

from aiapi_operator.activator.fleet import Fleet, Key, Pod, fleet_of, pod_of
from aiapi_operator.activator.world import World

KEY = ("shop", "assistant")


def aiapi(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": "assistant"},
        "spec": {
            "replicas": {"min": 0, "max": 5},
            "workers": {"min": 1, "max": 4},
            "scaling": {"idle": {"ignorePaths": ["/internal"]}},
        },
        "status": status,
    }


def pod(name: str = "p", *, namespace: str = "shop", **changes: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": f"uid-{name}",
            "labels": {"app.kubernetes.io/instance": "assistant"},
            **changes.pop("metadata", {}),
        },
        "spec": {
            "containers": [
                {"name": "sidecar", "ports": [{"name": "http", "containerPort": 1}]},
                {
                    "name": "app",
                    "ports": [
                        {"name": "http", "containerPort": 8000},
                        {"name": "admin", "containerPort": 9000},
                    ],
                    "readinessProbe": {"httpGet": {"scheme": changes.pop("scheme", "HTTP")}},
                },
            ]
        },
        "status": {
            "podIP": "10.0.0.1",
            "containerStatuses": [{"name": "app", "state": {"running": {}}}],
            **changes,
        },
    }


def test_an_aiapi_in_full() -> None:
    activation = {"phase": "Asleep", "port": 20_001, "wakeReplicas": 2, "podConcurrency": 40}
    conditions = [
        {"type": "Accepted", "status": "False", "reason": "Other"},
        {"type": "Ready", "status": "False", "reason": "ImagePullFailed"},
    ]
    assert fleet_of(aiapi(activation=activation, conditions=conditions)) == Fleet(
        key=KEY,
        port=20_001,
        phase="Asleep",
        wake_replicas=2,
        pod_concurrency=40,
        max_replicas=5,
        max_workers=4,
        ignore_paths=("/internal",),
        not_ready="ImagePullFailed",
    )


def test_an_aiapi_without_a_status() -> None:
    metadata = {"namespace": "shop", "name": "assistant"}
    assert fleet_of({"metadata": metadata, "spec": {}}) == Fleet(key=KEY)


def test_a_pod_in_full() -> None:
    assert pod_of(pod(scheme="HTTPS")) == Pod(
        name="p", uid="uid-p", address="10.0.0.1", port=8000, admin_port=9000, admin_scheme="https"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"podIP": None},
        {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
        {"containerStatuses": [{"name": "app", "state": {"waiting": {}}}]},
        {"containerStatuses": []},
    ],
)
def test_a_pod_that_cannot_serve_is_none(changes: dict[str, Any]) -> None:
    assert pod_of(pod(**changes)) is None


def test_an_ipv6_address_goes_in_brackets() -> None:
    found = pod_of(pod(podIP="fd00::1"))
    assert found is not None
    assert found.readiness_url == "http://[fd00::1]:9000/readyz"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def changes(world: World) -> list[Key]:
    seen: list[Key] = []
    world.changed = seen.append
    return seen


def test_only_changes_are_told(world: World, changes: list[Key]) -> None:
    world.put_aiapi(aiapi(activation={"port": 20_001}))
    world.put_aiapi(aiapi(activation={"port": 20_001}, load={"inFlight": "3"}))
    world.put_pod(pod())
    world.put_pod(pod(startTime="now"))
    assert changes == [KEY, KEY]


def test_a_terminating_pod_is_removed(world: World, changes: list[Key]) -> None:
    world.put_pod(pod())
    world.put_pod(pod(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}))
    world.remove_pod(pod())
    assert world.pods(KEY) == {}
    assert changes == [KEY, KEY]


def test_a_list_removes_what_it_does_not_have(world: World, changes: list[Key]) -> None:
    world.put_aiapi(aiapi())
    world.put_pod(pod("one"))
    world.put_pod(pod("two"))
    world.replace_pods(None, [pod("two"), pod("three")])
    assert set(world.pods(KEY)) == {"uid-two", "uid-three"}
    world.replace_aiapis(None, [])
    assert world.fleets == {}


def test_a_list_of_one_namespace_leaves_the_others(world: World, changes: list[Key]) -> None:
    world.put_aiapi(aiapi())
    world.put_pod(pod())
    world.replace_aiapis("other", [])
    world.replace_pods("other", [])
    assert KEY in world.fleets
    assert world.pods(KEY)
