"""The write semantics of the store."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aiapi_sandbox.apimachinery.errors import ApiError
from aiapi_sandbox.kinds.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    SECRETS,
    SERVICES,
)
from aiapi_sandbox.storage.store import Store

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def store() -> Store:
    return Store(clock=lambda: NOON)


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i:1"}], **spec},
    }


def config(name: str = "c", **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", **meta}, "data": {"a": "1"}}


def test_create_sets_server_owned_metadata(store: Store) -> None:
    made = store.create(CONFIGMAPS, config(uid="mine", resourceVersion="7"))
    meta = made["metadata"]
    assert meta["uid"] != "mine"
    assert int(meta["resourceVersion"]) == store.version
    assert meta["creationTimestamp"] == "2026-01-02T12:00:00Z"
    assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")


def test_generate_name_creates_unique_names(store: Store) -> None:
    template = {"metadata": {"generateName": "c-", "namespace": "default"}}
    names = {store.create(CONFIGMAPS, template)["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("c-") and len(name) == 7 for name in names)


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        ({"name": "c", "namespace": "default"}, "AlreadyExists"),
        ({"name": "c", "namespace": "nowhere"}, "NotFound"),
        ({"name": "Upper", "namespace": "default"}, "Invalid"),
        ({"namespace": "default"}, "Invalid"),
        ({"name": "l", "namespace": "default", "labels": {"a b": "c"}}, "Invalid"),
        ({"name": "l", "namespace": "default", "labels": {"a": "c d"}}, "Invalid"),
    ],
)
def test_create_rejects(store: Store, meta: dict[str, Any], reason: str) -> None:
    store.create(CONFIGMAPS, config())
    with pytest.raises(ApiError) as refused:
        store.create(CONFIGMAPS, {"metadata": meta})
    assert refused.value.reason == reason


def test_returned_objects_are_copies(store: Store) -> None:
    store.create(CONFIGMAPS, config())
    store.get(CONFIGMAPS, "default", "c")["data"]["a"] = "changed"
    store.list(CONFIGMAPS)[0]["data"]["a"] = "changed"
    assert store.get(CONFIGMAPS, "default", "c")["data"] == {"a": "1"}


def test_an_update_without_changes_is_a_no_op(store: Store) -> None:
    store.create(CONFIGMAPS, config())
    version = store.version
    store.mutate(CONFIGMAPS, "default", "c", lambda obj: None)
    assert store.version == version


def test_an_old_version_conflicts(store: Store) -> None:
    old = store.create(CONFIGMAPS, config())
    store.mutate(CONFIGMAPS, "default", "c", lambda obj: {**obj, "data": {"a": "2"}})
    with pytest.raises(ApiError, match="the object has been modified"):
        store.update(CONFIGMAPS, {**old, "data": {"a": "3"}})


def test_only_spec_changes_raise_the_generation(store: Store) -> None:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    }
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    store.create(DEPLOYMENTS, {"metadata": {"name": "d", "namespace": "default"}, "spec": spec})

    def generation_after(change: Any, subresource: str | None = None) -> int:
        changed = store.mutate(DEPLOYMENTS, "default", "d", change, subresource)
        return int(changed["metadata"]["generation"])

    assert generation_after(lambda d: d["metadata"].update(labels={"x": "y"})) == 1
    assert generation_after(lambda d: d["status"].update(replicas=1), "status") == 1
    assert generation_after(lambda d: d["spec"].update(replicas=2)) == 2


def test_status_and_spec_are_written_separately(store: Store) -> None:
    store.create(PODS, pod())

    def both(obj: dict[str, Any]) -> None:
        obj["metadata"]["labels"] = {"a": "b"}
        obj["status"]["phase"] = "Running"

    assert store.mutate(PODS, "default", "p", both)["status"]["phase"] == "Pending"
    after = store.mutate(PODS, "default", "p", both, "status")
    assert after["status"]["phase"] == "Running"


def test_a_bound_pod_is_removed_by_its_kubelet(store: Store) -> None:
    store.create(PODS, pod(nodeName="n", terminationGracePeriodSeconds=5))
    marked = store.delete(PODS, "default", "p")
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-02T12:00:05Z"
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 5
    assert store.list(PODS)
    store.delete(PODS, "default", "p", grace_seconds=60)
    again = store.get(PODS, "default", "p")["metadata"]
    assert again["deletionGracePeriodSeconds"] == 5, "grace may only get shorter"
    store.delete(PODS, "default", "p", grace_seconds=0)
    assert not store.list(PODS)


@pytest.mark.parametrize("phase", [None, "Succeeded", "Failed"])
def test_a_pod_without_running_containers_is_removed_immediately(
    store: Store, phase: str | None
) -> None:
    store.create(PODS, pod(**({"nodeName": "n"} if phase else {})))
    if phase:
        store.mutate(PODS, "default", "p", lambda p: p["status"].update(phase=phase), "status")
    store.delete(PODS, "default", "p")
    assert not store.list(PODS)


def test_a_finalizer_delays_removal(store: Store) -> None:
    store.create(CONFIGMAPS, config(finalizers=["example.dev/x"]))
    store.delete(CONFIGMAPS, "default", "c")
    assert store.get(CONFIGMAPS, "default", "c")["metadata"]["deletionTimestamp"]
    store.mutate(CONFIGMAPS, "default", "c", lambda obj: obj["metadata"].pop("finalizers") and None)
    assert not store.list(CONFIGMAPS)


@pytest.mark.parametrize(
    ("propagation", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")]
)
def test_propagation_policies_set_garbage_collector_finalizers(
    store: Store, propagation: Any, finalizer: str
) -> None:
    store.create(CONFIGMAPS, config())
    store.delete(CONFIGMAPS, "default", "c", propagation)
    assert store.get(CONFIGMAPS, "default", "c")["metadata"]["finalizers"] == [finalizer]


def test_a_namespace_is_removed_after_its_content(store: Store) -> None:
    store.create(NAMESPACES, {"metadata": {"name": "n"}})
    busy = pod(nodeName="x")
    busy["metadata"]["namespace"] = "n"
    store.create(PODS, busy)
    store.create(SECRETS, {"metadata": {"name": "s", "namespace": "n"}})
    store.delete(NAMESPACES, None, "n")
    assert store.get(NAMESPACES, None, "n")["status"]["phase"] == "Terminating"
    assert not store.list(SECRETS, "n")
    with pytest.raises(ApiError, match="it is being terminated"):
        store.create(SECRETS, {"metadata": {"name": "s", "namespace": "n"}})
    store.delete(PODS, "n", "p", grace_seconds=0)
    assert store.find(NAMESPACES, None, "n") is None


def test_services_keep_their_cluster_ip(store: Store) -> None:
    meta = {"name": "s", "namespace": "default"}
    spec = {"ports": [{"port": 80}], "selector": {"a": "b"}}
    made = store.create(SERVICES, {"metadata": meta, "spec": spec})
    assert made["spec"]["clusterIP"].startswith("127.96.")
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    again = store.update(SERVICES, {"metadata": meta, "spec": spec})
    assert again["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_watch_resumes_from_a_version(store: Store) -> None:
    store.create(CONFIGMAPS, config("a"))
    since = store.version
    store.create(CONFIGMAPS, config("b"))
    store.create(SECRETS, config("other"))
    store.delete(CONFIGMAPS, "default", "a")
    seen = []
    async for kind, obj in store.watch(CONFIGMAPS, since=since):
        seen.append((kind, obj["metadata"]["name"]))
        if len(seen) == 2:
            break
    assert seen == [("ADDED", "b"), ("DELETED", "a")]


async def test_a_watch_without_a_version_starts_with_existing_objects(store: Store) -> None:
    store.create(CONFIGMAPS, config("a"))
    watch = store.watch(CONFIGMAPS, "default")
    assert (await anext(watch))[0] == "ADDED"
    store.mutate(CONFIGMAPS, "default", "a", lambda obj: {**obj, "data": {}})
    assert (await anext(watch))[0] == "MODIFIED"
    store.close()
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


def test_a_watch_from_an_expired_version_is_gone() -> None:
    store = Store(watch_cache_size=5)
    first = store.version
    for index in range(10):
        store.create(CONFIGMAPS, config(f"c{index}"))
    with pytest.raises(ApiError) as gone:
        store.subscribe(CONFIGMAPS, since=first)
    assert (gone.value.status, gone.value.reason) == (410, "Expired")
    store.subscribe(CONFIGMAPS, since=store.version - 5).close()
