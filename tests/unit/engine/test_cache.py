"""The cache keeps the newer of two versions, in whatever order they arrive."""

import copy
import tracemalloc
from typing import Any

from engine_support.cluster import FakeCluster

from aiapi_operator.cluster.watch import Listed
from aiapi_operator.engine.cache import ObjectCache, is_newer
from aiapi_operator.engine.cached_child import content_hash

KEY = ("shop", "a")


def manifest(version: str, uid: str = "1", kind: str = "Service", **spec: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {
            "name": "a",
            "namespace": "shop",
            "uid": uid,
            "resourceVersion": version,
            "labels": {"app.kubernetes.io/instance": "a", "pod-template-hash": "1"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "a-1", "controller": True}],
        },
        "spec": spec,
    }


def test_an_older_version_is_ignored() -> None:
    cache = ObjectCache()
    assert cache.put(manifest("100", x=1)) == KEY
    assert cache.put(manifest("99", x=2)) is None
    assert cache.put(manifest("100", x=1)) is None
    assert (cache.child(KEY, "Service") or {})["spec"] == {"x": 1}


def test_non_numeric_versions_count_as_newer() -> None:
    assert is_newer(manifest("abc"), manifest("100"))
    assert not is_newer(manifest("abc"), manifest("abc"))


def test_a_late_deletion_keeps_the_successor() -> None:
    cache = ObjectCache()
    cache.put(manifest("100", uid="old"))
    cache.put(manifest("200", uid="new"))
    assert cache.remove(manifest("150", uid="old")) is None
    assert cache.objects(KEY).children["Service"].uid == "new"
    assert cache.remove(manifest("200", uid="new")) == KEY


def test_objects_without_the_label_are_ignored() -> None:
    foreign = manifest("1")
    foreign["metadata"]["labels"] = {}
    assert ObjectCache().put(foreign) is None


def test_a_pod_of_another_owner_is_ignored() -> None:
    pod = manifest("1", kind="Pod")
    pod["metadata"]["ownerReferences"][0]["name"] = "b-1"
    assert ObjectCache().put(pod) is None


def test_a_fresh_list_removes_deleted_pods() -> None:
    cache = ObjectCache()
    cache.put(manifest("1", kind="Pod"))
    other = manifest("2", kind="Pod")
    other["metadata"]["name"] = "b"
    cache.replace_pods(KEY, [other])
    assert set(cache.objects(KEY).pods) == {"b"}


def test_the_content_hash_covers_user_fields_only() -> None:
    deployment = manifest("1", kind="Deployment", replicas=2, paused=False)
    scaled = manifest("2", kind="Deployment", replicas=9, paused=False)
    scaled["status"] = {"replicas": 9}
    assert content_hash(deployment) == content_hash(scaled)
    assert content_hash(deployment) != content_hash(
        manifest("2", kind="Deployment", replicas=2, paused=True)
    )


def test_a_look_at_an_unknown_aiapi_leaves_no_entry() -> None:
    cache = ObjectCache()
    assert cache.objects(KEY).pods == {}
    assert cache.remove(manifest("100")) is None
    cache.replace_pods(KEY, [])
    assert cache._objects == {}


def named(version: str, name: str, **changes: str) -> dict[str, Any]:
    pod = manifest(version, uid=name, kind="Pod")
    pod["metadata"] |= {"name": name, **changes}
    return pod


def listed(*uids: str, kind: str = "Pod", version: str = "100", **where: Any) -> Listed:
    return Listed(
        kind=kind, namespace=where.get("namespace"), version=version, uids=frozenset(uids)
    )


def test_objects_that_vanished_are_removed_after_a_list() -> None:
    cache = ObjectCache()
    for pod in (named("1", "kept"), named("2", "vanished"), named("101", "created-meanwhile")):
        cache.put(pod)
    cache.put(manifest("3"))
    assert cache.keep_listed(listed("kept")) == [KEY]
    assert set(cache.objects(KEY).pods) == {"kept", "created-meanwhile"}
    assert cache.keep_listed(listed(kind="Service")) == [KEY]
    assert cache.objects(KEY).children == {}


def test_a_list_of_one_namespace_says_nothing_about_others() -> None:
    cache = ObjectCache()
    cache.put(named("1", "a"))
    assert cache.keep_listed(listed(namespace="other")) == []
    assert cache.keep_listed(listed(namespace="shop")) == [KEY]


def test_a_late_answer_does_not_bring_a_deleted_object_back() -> None:
    cache = ObjectCache()
    cache.put(named("1", "a"))
    cache.remove(named("3", "a"))
    assert cache.put(named("2", "a")) is None
    assert cache.objects(KEY).pods == {}


def test_an_object_that_got_its_label_back_is_known_again() -> None:
    cache = ObjectCache()
    cache.put(manifest("1"))
    cache.remove(manifest("3"))
    assert cache.put(manifest("4")) == KEY


def test_nothing_is_left_of_the_objects_of_a_deleted_aiapi() -> None:
    cache = ObjectCache()
    cache.drop(KEY)
    cache.put(named("1", "a"))
    cache.remove(named("2", "a"))
    assert cache._objects == {}


def test_a_child_is_kept_with_all_that_people_can_edit() -> None:
    cache = ObjectCache()
    deployment = manifest("7", kind="Deployment", replicas=2, paused=False)
    deployment["metadata"] |= {"managedFields": [{}], "annotations": {"note": "x"}}
    deployment["status"] = {
        "readyReplicas": 2,
        "conditions": [{"type": "Progressing", "status": "True", "lastUpdateTime": "now"}],
    }
    cache.put(deployment)
    found = cache.child(KEY, "Deployment") or {}
    assert found["spec"] == {"replicas": 2, "paused": False}
    assert found["metadata"]["annotations"] == {"note": "x"}
    assert found["metadata"]["resourceVersion"] == "7"
    assert found["status"]["readyReplicas"] == 2
    assert "managedFields" not in found["metadata"]


def test_a_scaled_deployment_has_its_replicas_until_something_newer_arrives() -> None:
    cache = ObjectCache()
    cache.put(manifest("7", kind="Deployment", replicas=2))
    content = cache.objects(KEY).children["Deployment"].content
    cache.scaled(KEY, "9", 5)
    cache.put(manifest("8", kind="Deployment", replicas=2))
    assert (cache.deployment_status(KEY) or {})["spec"] == {"replicas": 5}
    assert cache.objects(KEY).children["Deployment"].content == content
    cache.scaled(KEY, "6", 1)
    assert (cache.child(KEY, "Deployment") or {})["spec"]["replicas"] == 5


def test_a_pod_takes_little_memory() -> None:
    """The issue's goal is 4 kB a pod, with its samples."""
    cache, base = ObjectCache(), FakeCluster().add_pod("a", podIP="10.1.2.3")
    cache.put(base)
    tracemalloc.start()
    for number in range(1000):
        pod = copy.deepcopy(base)
        pod["metadata"] |= {"name": f"a-{number:030}", "uid": f"{number:036}"}
        pod["metadata"]["managedFields"] = [{"fieldsV1": {str(i): {} for i in range(100)}}]
        cache.put(pod)
        del pod
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / 1000 < 1500
