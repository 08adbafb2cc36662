"""The cache keeps the newer of two versions, in whatever order they arrive."""

from typing import Any

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
            "labels": {"app.kubernetes.io/instance": "a"},
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
