"""A shard keeps the pods of its own AIApis."""

from typing import Any

from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.own_pods import OwnPods


class Runner:
    """Puts what it gets into the cache; its AIApi is ``mine``."""

    def __init__(self, cache: ObjectCache) -> None:
        self.cache = cache
        self.on_child_delete = cache.remove
        self.on_list = cache.keep_listed

    def known(self) -> set[tuple[str, str]]:
        return {("shop", "mine")}

    def on_child_update(self, manifest: Manifest) -> None:
        self.cache.put(manifest)


class World:
    def __init__(self) -> None:
        self.now, self.cache = 0.0, ObjectCache()
        runner: Any = Runner(self.cache)
        self.sink = OwnPods(runner, self.cache, clock=lambda: self.now)

    def pods(self, aiapi: str) -> list[str]:
        return [pod.name for pod in self.cache.pods(("shop", aiapi))]


def pod(aiapi: str, number: int = 1) -> Manifest:
    owner = {"kind": "ReplicaSet", "name": f"{aiapi}-x", "uid": "rs", "controller": True}
    metadata = {
        "namespace": "shop",
        "name": f"{aiapi}-{number}",
        "uid": f"{aiapi}-{number}",
        "resourceVersion": "1",
        "labels": {"app.kubernetes.io/instance": aiapi, "pod-template-hash": "x"},
        "ownerReferences": [owner],
    }
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": []}, "status": {}}


def test_pods_that_arrive_before_their_aiapi_are_kept_for_a_minute() -> None:
    world = World()
    world.sink.on_child_update(pod("theirs"))
    world.cache.set_fresh(world.now)
    world.now = 59.0
    world.sink.on_child_update(pod("mine"))
    assert (world.pods("mine"), world.pods("theirs")) == (["mine-1"], ["theirs-1"])


def test_then_only_pods_of_the_shard_are_kept() -> None:
    world = World()
    for name in ("mine", "theirs"):
        world.sink.on_child_update(pod(name))
    world.cache.set_fresh(world.now)
    world.now = 60.0
    for name in ("mine", "theirs"):
        world.sink.on_child_update(pod(name, 2))
    assert (world.pods("mine"), world.pods("theirs")) == (["mine-1", "mine-2"], [])
    world.sink.on_child_delete(pod("mine"))
    assert world.pods("mine") == ["mine-2"]
