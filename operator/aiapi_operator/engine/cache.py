"""A cache of each AIApi's children and pods, filled by watches.

Watch events arrive late and interleave with the responses to the operator's own writes, so the
cache keeps the newer of two versions of an object. Objects may arrive before their AIApi.
"""

import hashlib
import json
from dataclasses import dataclass, field

from aiapi_operator.cluster.resources import INSTANCE_LABEL, Manifest

Key = tuple[str, str]
"""Namespace and name of an AIApi."""

_VOLATILE = ("resourceVersion", "generation", "managedFields", "selfLink")
_CONTROLLERS = {"deployment.kubernetes.io/revision"}
"""Annotations that Kubernetes controllers set on the children."""


@dataclass(slots=True)
class AIApiObjects:
    """One AIApi's children by kind, and its pods by name."""

    children: dict[str, Manifest] = field(default_factory=dict)
    pods: dict[str, Manifest] = field(default_factory=dict)


class ObjectCache:
    """The cached objects of every AIApi."""

    def __init__(self) -> None:
        self._objects: dict[Key, AIApiObjects] = {}

    def objects(self, key: Key) -> AIApiObjects:
        """The cached objects of one AIApi."""
        return self._objects.get(key) or AIApiObjects()

    def put(self, manifest: Manifest) -> Key | None:
        """Store a child or a pod. None when it is not newer than the cached version."""
        key = owner_key(manifest)
        if key is None:
            return None
        cached = self.objects(key)
        entries, name = _entry(cached, manifest)
        if not is_newer(manifest, entries.get(name)):
            return None
        entries[name] = manifest
        self._objects[key] = cached
        return key

    def remove(self, manifest: Manifest) -> Key | None:
        """Remove a deleted child or pod. None when another object has its name now."""
        key = owner_key(manifest)
        if key is None or key not in self._objects:
            return None
        cached = self._objects[key]
        entries, name = _entry(cached, manifest)
        known = entries.get(name)
        if known is None or known["metadata"].get("uid") != manifest["metadata"].get("uid"):
            return None
        del entries[name]
        if not cached.children and not cached.pods:
            # Of an AIApi that was deleted, the last events of its objects would leave an entry.
            del self._objects[key]
        return key

    def replace_pods(self, key: Key, pods: list[Manifest]) -> None:
        """Replace the pods by a fresh list, because a watch may miss a deletion."""
        cached = self.objects(key)
        listed = {pod["metadata"]["name"] for pod in pods}
        cached.pods = {name: pod for name, pod in cached.pods.items() if name in listed}
        for pod in pods:
            self.put(pod)

    def drop(self, key: Key) -> None:
        """Drop all objects of an AIApi that was deleted."""
        self._objects.pop(key, None)


def _entry(cached: AIApiObjects, manifest: Manifest) -> tuple[dict[str, Manifest], str]:
    if manifest["kind"] == "Pod":
        return cached.pods, manifest["metadata"]["name"]
    return cached.children, manifest["kind"]


def owner_key(manifest: Manifest) -> Key | None:
    """The AIApi that a child or a pod belongs to, by its labels."""
    metadata = manifest["metadata"]
    name = (metadata.get("labels") or {}).get(INSTANCE_LABEL)
    return (metadata["namespace"], name) if name else None


def is_newer(one: Manifest, other: Manifest | None) -> bool:
    """Whether ``one`` is a different and not an older version than ``other``.

    Since 1.35, Kubernetes guarantees that resource versions of one kind compare as numbers;
    earlier releases behave the same way. A version that is not a number counts as newer.
    """
    if other is None:
        return True
    mine, known = (each["metadata"].get("resourceVersion", "") for each in (one, other))
    if one["metadata"].get("uid") == other["metadata"].get("uid") and mine == known:
        return False
    if mine.isdigit() and known.isdigit():
        return int(mine) > int(known)
    return True


def content_hash(manifest: Manifest) -> str:
    """A hash of the fields that users or the operator set; it changes when the object is edited.

    It leaves out status, versions and replicas: the right-sizer sets the replicas.
    """
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in _VOLATILE}
    annotations = {
        k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k not in _CONTROLLERS
    }
    rest = {k: v for k, v in manifest.items() if k not in ("metadata", "status")}
    if manifest.get("kind") == "Deployment":
        rest["spec"] = {k: v for k, v in manifest["spec"].items() if k != "replicas"}
    text = json.dumps(
        [metadata, annotations, rest], sort_keys=True, separators=(",", ":"), default=str
    )
    return hashlib.sha256(text.encode()).hexdigest()
