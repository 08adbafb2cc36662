"""What was last seen of each AIApi's children and pods, fed by the watches.

Watches deliver late and in their own order, and the answers to our own writes arrive beside
them: the newer of two versions of an object is kept. Objects may be seen before their AIApi is.
"""

import hashlib
import json
from dataclasses import dataclass, field

from aiapi_operator.cluster.resources import INSTANCE_LABEL, Manifest

Key = tuple[str, str]
"""Namespace and name of an AIApi."""

_VOLATILE = ("resourceVersion", "generation", "managedFields", "selfLink")
_CONTROLLERS = {"deployment.kubernetes.io/revision"}
"""Annotations that Kubernetes' own controllers write on our children."""


@dataclass(slots=True)
class Family:
    """One AIApi's children by kind, and its pods by name."""

    children: dict[str, Manifest] = field(default_factory=dict)
    pods: dict[str, Manifest] = field(default_factory=dict)


class Inventory:
    """All families, by the AIApi they belong to."""

    def __init__(self) -> None:
        self._families: dict[Key, Family] = {}

    def family(self, key: Key) -> Family:
        """What is known of this AIApi's things; empty at first."""
        return self._families.setdefault(key, Family())

    def see(self, manifest: Manifest) -> Key | None:
        """Take in a child or a pod; None when it is not newer than what is known."""
        key = owner(manifest)
        if key is None:
            return None
        shelf, name = self._place(key, manifest)
        if not newer(manifest, shelf.get(name)):
            return None
        shelf[name] = manifest
        return key

    def forget(self, manifest: Manifest) -> Key | None:
        """Take a deleted child or pod out; None when another of its name took its place."""
        key = owner(manifest)
        if key is None or key not in self._families:
            return None
        shelf, name = self._place(key, manifest)
        known = shelf.get(name)
        if known is None or known["metadata"].get("uid") != manifest["metadata"].get("uid"):
            return None
        del shelf[name]
        return key

    def replace_pods(self, key: Key, pods: list[Manifest]) -> None:
        """Take a fresh list for all there is: a watch may have missed a deletion."""
        family = self.family(key)
        there = {pod["metadata"]["name"] for pod in pods}
        family.pods = {name: pod for name, pod in family.pods.items() if name in there}
        for pod in pods:
            self.see(pod)

    def drop(self, key: Key) -> None:
        """Forget everything of an AIApi that is gone."""
        self._families.pop(key, None)

    def _place(self, key: Key, manifest: Manifest) -> tuple[dict[str, Manifest], str]:
        family = self.family(key)
        if manifest["kind"] == "Pod":
            return family.pods, manifest["metadata"]["name"]
        return family.children, manifest["kind"]


def owner(manifest: Manifest) -> Key | None:
    """The AIApi that a child or a pod belongs to, by its labels."""
    metadata = manifest["metadata"]
    name = (metadata.get("labels") or {}).get(INSTANCE_LABEL)
    return (metadata["namespace"], name) if name else None


def newer(one: Manifest, other: Manifest | None) -> bool:
    """Whether ``one`` is another version than ``other``, and not an older one.

    Kubernetes promises since 1.35 that versions of one kind can be compared as numbers, and
    all before behaved so; what is not a number counts as newer.
    """
    if other is None:
        return True
    mine, known = (thing["metadata"].get("resourceVersion", "") for thing in (one, other))
    if one["metadata"].get("uid") == other["metadata"].get("uid") and mine == known:
        return False
    if mine.isdigit() and known.isdigit():
        return int(mine) > int(known)
    return True


def content(manifest: Manifest) -> str:
    """A digest of what people or the operator set: not of status, versions, or the replicas,
    which belong to the right-sizer. It changes when somebody edits the object."""
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
