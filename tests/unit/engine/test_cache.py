"""What was seen: the newer of two versions is kept, whatever order they come in."""

from typing import Any

from aiapi_operator.engine.cache import ObjectCache, content_hash, is_newer

KEY = ("shop", "a")


def thing(version: str, uid: str = "1", kind: str = "Service", **spec: Any) -> dict[str, Any]:
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


def test_an_older_version_is_passed_over() -> None:
    cache = ObjectCache()
    assert cache.put(thing("100", x=1)) == KEY
    assert cache.put(thing("99", x=2)) is None
    assert cache.put(thing("100", x=1)) is None
    assert cache.objects(KEY).children["Service"]["spec"] == {"x": 1}


def test_versions_that_are_no_numbers_count_as_newer() -> None:
    assert is_newer(thing("abc"), thing("100"))
    assert not is_newer(thing("abc"), thing("abc"))


def test_a_late_deletion_does_not_take_the_successor() -> None:
    cache = ObjectCache()
    cache.put(thing("100", uid="old"))
    cache.put(thing("200", uid="new"))
    assert cache.remove(thing("150", uid="old")) is None
    assert cache.objects(KEY).children["Service"]["metadata"]["uid"] == "new"
    assert cache.remove(thing("200", uid="new")) == KEY


def test_things_without_our_label_are_nobodys() -> None:
    foreign = thing("1")
    foreign["metadata"]["labels"] = {}
    assert ObjectCache().put(foreign) is None


def test_a_fresh_list_of_pods_takes_out_those_that_are_gone() -> None:
    cache = ObjectCache()
    cache.put(thing("1", kind="Pod"))
    other = thing("2", kind="Pod")
    other["metadata"]["name"] = "b"
    cache.replace_pods(KEY, [other])
    assert set(cache.objects(KEY).pods) == {"b"}


def test_content_is_what_somebody_set() -> None:
    deployment = thing("1", kind="Deployment", replicas=2, paused=False)
    scaled = thing("2", kind="Deployment", replicas=9, paused=False)
    scaled["status"] = {"replicas": 9}
    assert content_hash(deployment) == content_hash(scaled)
    assert content_hash(deployment) != content_hash(
        thing("2", kind="Deployment", replicas=2, paused=True)
    )
