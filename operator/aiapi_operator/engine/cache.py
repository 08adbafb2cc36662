"""A cache of each AIApi's children and pods, filled by watches.

Watch events arrive late and interleave with the responses to the operator's own writes, so the
cache keeps the newer of two versions of an object, and none of one that was deleted. Objects may
arrive before their AIApi. Of an object only what the engine reads is kept.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from aiapi_operator.cluster.resources import DEPLOYMENTS, INSTANCE_LABEL, PODS, Manifest
from aiapi_operator.cluster.watch import Listed
from aiapi_operator.engine.cached_child import CachedChild, cached_child
from aiapi_operator.engine.ownership import is_pod_of
from aiapi_operator.engine.pod_view import PodView, pod_view

Key = tuple[str, str]
"""Namespace and name of an AIApi."""

_DELETED = 4096
"""Deleted objects that are remembered, so that a late answer does not bring them back."""
_FRESH = 60.0
"""Seconds for which a complete list stands for reading an object again."""


@dataclass(frozen=True, slots=True)
class CachedPod:
    """One pod."""

    view: PodView
    version: str

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return self.view.uid


@dataclass(slots=True)
class AIApiObjects:
    """One AIApi's children by kind, and its pods by name."""

    children: dict[str, CachedChild] = field(default_factory=dict)
    pods: dict[str, CachedPod] = field(default_factory=dict)


class ObjectCache:
    """The cached objects of every AIApi."""

    def __init__(self) -> None:
        self._objects: dict[Key, AIApiObjects] = {}
        self._deleted: dict[str, str] = {}
        self._fresh_until = float("-inf")

    def objects(self, key: Key) -> AIApiObjects:
        """The cached objects of one AIApi."""
        return self._objects.get(key) or AIApiObjects()

    def child(self, key: Key, kind: str) -> Manifest | None:
        """One child, without managedFields."""
        found = self.objects(key).children.get(kind)
        return None if found is None else found.manifest()

    def deployment_status(self, key: Key) -> Manifest | None:
        """Name, version, replicas and status of the Deployment."""
        found = self.objects(key).children.get(DEPLOYMENTS.kind)
        return None if found is None else found.status

    def pods(self, key: Key) -> Iterable[PodView]:
        """The pods of one AIApi."""
        return [pod.view for pod in self.objects(key).pods.values()]

    def put(self, manifest: Manifest) -> Key | None:
        """Store a child or a pod. None when it is not newer than the cached version."""
        key = owner_key(manifest)
        if key is None or self._is_deleted(manifest["metadata"]):
            return None
        if manifest["kind"] == PODS.kind and not is_pod_of(manifest, key[1]):
            return None
        cached = self.objects(key)
        known = _find(cached, manifest)
        if known is not None and not _is_newer(manifest, known.uid, known.version):
            return None
        self._objects[key] = cached
        pods, children = cached.pods, cached.children
        if manifest["kind"] == PODS.kind:
            version = str(manifest["metadata"].get("resourceVersion", ""))
            pods[manifest["metadata"]["name"]] = CachedPod(pod_view(manifest), version)
        else:
            kind = manifest["kind"]
            children[kind] = cached_child(manifest, children.get(kind))
        return key

    def scaled(self, key: Key, version: str, replicas: int) -> None:
        """Note that the Deployment was scaled."""
        children = self.objects(key).children
        known = children.get(DEPLOYMENTS.kind)
        if known is not None and _is_later(version, known.version):
            children[DEPLOYMENTS.kind] = known.scaled(version, replicas)

    def remove(self, manifest: Manifest) -> Key | None:
        """Remove a deleted child or pod. None when another object has its name now."""
        key, uid = owner_key(manifest), manifest["metadata"].get("uid")
        self._remember_deleted(manifest["metadata"])
        if key is None or key not in self._objects:
            return None
        known = _find(self._objects[key], manifest)
        if known is None or known.uid != uid:
            return None
        self._discard(key, manifest["kind"], manifest["metadata"]["name"])
        return key

    def keep_listed(self, listed: Listed) -> list[Key]:
        """Remove what a complete list does not have. Returns the AIApis that lost an object.

        A newer object than the list stays: the operator created it in the meantime.
        """
        changed = []
        for key, name, found in list(self._of(listed)):
            if found.uid not in listed.uids and not _is_later(found.version, listed.version):
                self._discard(key, listed.kind, name)
                changed.append(key)
        return changed

    def replace_pods(self, key: Key, pods: list[Manifest]) -> None:
        """Replace the pods by a fresh list, because a watch may miss a deletion."""
        listed = {pod["metadata"]["name"] for pod in pods}
        for name in [name for name in self.objects(key).pods if name not in listed]:
            self._discard(key, PODS.kind, name)
        for pod in pods:
            self.put(pod)

    def drop(self, key: Key) -> None:
        """Drop all objects of an AIApi that was deleted."""
        self._objects.pop(key, None)

    def keep_only(self, keys: Container[Key]) -> None:
        """Drop the objects of all other AIApis."""
        for key in [key for key in self._objects if key not in keys]:
            del self._objects[key]

    def set_fresh(self, now: float) -> None:
        """Note that all objects were just listed."""
        self._fresh_until = now + _FRESH

    def is_fresh(self, now: float) -> bool:
        """Whether all objects were listed so recently that none needs to be read again."""
        return now < self._fresh_until

    def was_fresh(self, now: float) -> bool:
        """Whether that time is over."""
        return float("-inf") < self._fresh_until <= now

    def _of(self, listed: Listed) -> Iterable[tuple[Key, str, CachedChild | CachedPod]]:
        """The cached objects that a list covers."""
        for key, cached in self._objects.items():
            if listed.namespace not in (None, key[0]):
                continue
            if listed.kind == PODS.kind:
                yield from ((key, name, pod) for name, pod in cached.pods.items())
            elif (child := cached.children.get(listed.kind)) is not None:
                yield key, "", child

    def _discard(self, key: Key, kind: str, name: str) -> None:
        pods, children = self._objects[key].pods, self._objects[key].children
        if kind == PODS.kind:
            del pods[name]
        else:
            del children[kind]
        if not pods and not children:
            del self._objects[key]

    def _remember_deleted(self, metadata: Manifest) -> None:
        self._deleted[metadata.get("uid", "")] = metadata.get("resourceVersion", "")
        if len(self._deleted) > _DELETED:
            del self._deleted[next(iter(self._deleted))]

    def _is_deleted(self, metadata: Manifest) -> bool:
        """Whether an object is gone since this version. It is back if it lost its label only."""
        version = self._deleted.get(metadata.get("uid", ""))
        return version is not None and not _is_later(metadata.get("resourceVersion", ""), version)


def _find(cached: AIApiObjects, manifest: Manifest) -> CachedChild | CachedPod | None:
    if manifest["kind"] == PODS.kind:
        return cached.pods.get(manifest["metadata"]["name"])
    return cached.children.get(manifest["kind"])


def owner_key(manifest: Manifest) -> Key | None:
    """The AIApi that a child or a pod belongs to, by its labels."""
    metadata = manifest["metadata"]
    name = (metadata.get("labels") or {}).get(INSTANCE_LABEL)
    return (metadata["namespace"], name) if name else None


def is_newer(one: Manifest, other: Manifest | None) -> bool:
    """Whether ``one`` is a different and not an older version than ``other``."""
    if other is None:
        return True
    known = other["metadata"]
    return _is_newer(one, known.get("uid"), str(known.get("resourceVersion", "")))


def _is_newer(manifest: Manifest, uid: str | None, version: str) -> bool:
    metadata = manifest["metadata"]
    mine = str(metadata.get("resourceVersion", ""))
    if metadata.get("uid") == uid and mine == version:
        return False
    if mine.isdigit() and version.isdigit():
        return int(mine) > int(version)
    return True


def _is_later(one: str, other: str) -> bool:
    """Whether a resource version is higher.

    Since 1.35, Kubernetes guarantees that resource versions of one kind compare as numbers;
    earlier releases behave the same way. A version that is not a number counts as higher.
    """
    if one.isdigit() and other.isdigit():
        return int(one) > int(other)
    return one != other
