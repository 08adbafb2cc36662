"""A fake ``Cluster`` for the engine: objects in memory, and recorded requests."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiapi_operator.api.quantity import parse_quantity
from aiapi_operator.cluster.errors import ClusterError, Conflict, Invalid, NotFound
from aiapi_operator.cluster.resources import Manifest, Resource
from aiapi_operator.engine.pod_view import APP_CONTAINER
from aiapi_operator.observe.target import ScrapeTarget

Call = tuple[str, ...]


class FakeCluster:
    """``done`` has all writes, ``asked`` all reads; ``refuse`` maps call prefixes to errors."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Manifest] = {}
        self.done: list[Call] = []
        self.asked: list[Call] = []
        self.events: list[tuple[str, str]] = []
        self.refuse: dict[Call, ClusterError] = {}
        self.grants = True
        """Whether the kubelet carries out resizes."""
        self.room: dict[str, str] = {}
        """CPU that the node has for a pod; the kubelet defers a resize beyond it."""
        self.limits: dict[str, str] = {}
        """CPU that the API server allows a pod; it rejects a resize beyond it."""
        self.pending = "Deferred"
        self._version = 100

    # --- the interface

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        self.asked.append(("get", resource.kind, name))
        return copy.deepcopy(self.objects.get((resource.kind, name)))

    async def pods(self, namespace: str, selector: str) -> list[Manifest]:
        self.asked.append(("pods", selector))
        return [copy.deepcopy(o) for (kind, _), o in self.objects.items() if kind == "Pod"]

    async def apply(self, manifest: Manifest) -> Manifest:
        self._do("apply", manifest["kind"])
        key = (manifest["kind"], manifest["metadata"]["name"])
        known = self.objects.get(key)
        merged = _merge(known or _new(key), manifest)
        if manifest["kind"] == "Deployment":
            merged["spec"].setdefault("replicas", 1)
        return self._put(key, merged, changed=merged != known)

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        self._do("delete", resource.kind)
        self.objects.pop((resource.kind, name), None)

    async def replace_part(self, manifest: Manifest, part: Manifest) -> None:
        self._do("replace", manifest["kind"])
        key = (manifest["kind"], manifest["metadata"]["name"])
        self._put(key, _merge(self.objects[key], part))

    async def apply_status(self, manifest: Manifest) -> Manifest:
        self._do("status")
        key = (manifest["kind"], manifest["metadata"]["name"])
        if key not in self.objects:
            raise NotFound("no such AIApi")
        return self._put(key, {**self.objects[key], "status": manifest["status"]})

    async def scale(self, namespace: str, name: str, replicas: int) -> str:
        self._do("scale", str(replicas))
        key = ("Deployment", name)
        part = {"spec": {"replicas": replicas}}
        return str(self._put(key, _merge(self.objects[key], part))["metadata"]["resourceVersion"])

    async def set_deletion_cost(self, namespace: str, pod: str, cost: int) -> None:
        self._do("cost", pod, str(cost))

    async def resize(
        self, namespace: str, pod: str, container: str, resources: dict[str, Any]
    ) -> Manifest:
        cpu = parse_quantity(resources["requests"]["cpu"])
        if pod in self.limits and cpu > parse_quantity(self.limits[pod]):
            self.done.append(("rejected", pod, str(resources["requests"]["cpu"])))
            raise Invalid(f"requests: must be less than or equal to cpu limit {self.limits[pod]}")
        self._do("resize", pod, str(resources["requests"]["cpu"]))
        found = copy.deepcopy(self.objects["Pod", pod])
        found["spec"]["containers"][0]["resources"] = resources
        found["metadata"]["generation"] = found["metadata"].get("generation", 1) + 1
        if self.grants:
            self._carry_out(found, waits=cpu > parse_quantity(self.room.get(pod, "1M")))
        return self._put(("Pod", pod), found)

    def _carry_out(self, found: Manifest, *, waits: bool) -> None:
        """The kubelet's answer."""
        status = found["status"]
        others = [each for each in status["conditions"] if each["type"] != "PodResizePending"]
        condition = {
            "type": "PodResizePending",
            "status": "True",
            "reason": self.pending,
            "message": "Node didn't have enough resource: cpu",
            "observedGeneration": found["metadata"]["generation"],
        }
        status["conditions"] = [*others, condition] if waits else others
        if not waits:
            status["containerStatuses"][0]["resources"] = found["spec"]["containers"][0][
                "resources"
            ]

    async def relabel(self, manifest: Manifest, labels: Mapping[str, str | None]) -> None:
        self._do("relabel", *labels)
        key = (manifest["kind"], manifest["metadata"]["name"])
        found = copy.deepcopy(self.objects[key])
        if found["metadata"]["resourceVersion"] != manifest["metadata"]["resourceVersion"]:
            raise Conflict("stale")
        kept = {**(found["metadata"].get("labels") or {}), **labels}
        found["metadata"]["labels"] = {k: v for k, v in kept.items() if v is not None}
        self._put(key, found)

    async def emit(self, regarding: Manifest, *, kind: str, reason: str, message: str) -> None:
        self.events.append((reason, message))

    # --- for tests

    def edit(self, kind: str, name: str, part: Manifest) -> Manifest:
        """Edit an object as with kubectl. Returns it as a watch delivers it."""
        return self._put((kind, name), _merge(self.objects[kind, name], part))

    def add_pod(
        self,
        name: str,
        *,
        cpu: str = "500m",
        memory: str = "256Mi",
        ready: bool = True,
        scheme: str = "HTTPS",
        **status: Any,
    ) -> Manifest:
        """A running pod of the AIApi ``a``."""
        probe = {"httpGet": {"path": "/readyz", "port": "admin", "scheme": scheme}}
        resources = {"requests": {"cpu": cpu, "memory": memory}}
        container_status = {
            "name": APP_CONTAINER,
            "state": {"running": {}},
            "resources": resources,
        }
        pod = {
            **_new(("Pod", name)),
            "spec": {
                "containers": [
                    {"name": APP_CONTAINER, "resources": resources, "readinessProbe": probe}
                ]
            },
            "status": {
                "phase": "Running",
                "podIP": "10.0.0.1",
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                "containerStatuses": [container_status],
                **status,
            },
        }
        pod["metadata"]["labels"] = {
            "app.kubernetes.io/instance": "a",
            "pod-template-hash": "1",
        }
        pod["metadata"]["ownerReferences"] = [
            {"kind": "ReplicaSet", "name": "a-1", "uid": "rs", "controller": True}
        ]
        return self._put(("Pod", name), pod)

    def _do(self, *call: str) -> None:
        for start, error in self.refuse.items():
            if call[: len(start)] == start:
                raise error
        self.done.append(call)

    def _put(self, key: tuple[str, str], manifest: Manifest, *, changed: bool = True) -> Manifest:
        stored = copy.deepcopy(manifest)
        if changed:
            self._version += 1
            stored["metadata"]["resourceVersion"] = str(self._version)
        self.objects[key] = stored
        return copy.deepcopy(stored)


@dataclass
class FakeWatch:
    """A watch that a test may end."""

    pods: list[str]
    seconds: int
    on_answer: Callable[[], None]
    ended: bool = False

    def end(self) -> None:
        self.ended = True


class FakePods:
    """The pods' admin ports: their answers and the worker counts that were set."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.set_workers: list[tuple[str, int]] = []
        self.tokens: Sequence[str] = ()
        self.targets: dict[str, ScrapeTarget] = {}
        self.problems: dict[str, str] = {}
        self.watches: list[FakeWatch] = []
        self.watchable = True

    def watch(
        self,
        targets: Sequence[Any],
        _samples: Sequence[Any],
        _tokens: Sequence[str],
        *,
        seconds: int,
        on_answer: Callable[[], None],
    ) -> "FakeWatch | None":
        if not self.watchable:
            return None
        watch = FakeWatch([target.pod for target in targets], seconds, on_answer)
        self.watches.append(watch)
        return watch

    async def scrape(self, targets: Sequence[Any], tokens: Sequence[str]) -> tuple[Any, ...]:
        self.tokens = tokens
        self.targets = {target.pod: target for target in targets}
        return tuple(self.answers[target.pod] for target in targets)

    async def set(
        self, targets: Sequence[Any], count: int, tokens: Sequence[str]
    ) -> dict[str, str]:
        self.set_workers += [(target.pod, count) for target in targets]
        return {
            target.pod: self.problems[target.pod]
            for target in targets
            if target.pod in self.problems
        }


def _new(key: tuple[str, str]) -> Manifest:
    kind, name = key
    metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "resourceVersion": ""}
    return {"kind": kind, "metadata": metadata}


def _merge(base: Manifest, part: Manifest) -> Manifest:
    merged = copy.deepcopy(base)
    for key, value in part.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged
