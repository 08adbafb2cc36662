"""A child as it is kept between two events: as text, with a hash of what people may edit.

As compressed text it needs a twentieth of the memory. The operator reads it as an object only when
the AIApi or the child has changed. What each tick reads of a Deployment is kept as an object.
"""

import hashlib
import zlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from aiapi_operator.cluster.resources import DEPLOYMENTS, Manifest

_VOLATILE = ("resourceVersion", "generation", "managedFields", "selfLink")
_CONTROLLERS = {"deployment.kubernetes.io/revision"}
"""Annotations that Kubernetes controllers set on the children."""
_CONDITION = ("type", "status", "reason", "message")

_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class CachedChild:
    """One child."""

    name: str
    uid: str
    version: str
    content: bytes
    """A hash of the fields that users or the operator set; it changes when the child is edited."""
    text: bytes
    """The child as JSON, compressed."""
    status: Manifest | None
    """Of a Deployment: name, version, replicas and status."""

    def manifest(self) -> Manifest:
        """The child as an object, without managedFields."""
        found: Manifest = msgspec.json.decode(zlib.decompress(self.text))
        found["metadata"]["resourceVersion"] = self.version
        if self.status is not None:
            found["spec"] |= self.status["spec"]
            found["status"] = self.status["status"]
        return found

    def scaled(self, version: str, replicas: int) -> "CachedChild":
        """The Deployment after it was scaled."""
        status = self.status or {}
        metadata = {**status.get("metadata", {}), "resourceVersion": version}
        scaled = {**status, "metadata": metadata, "spec": {"replicas": replicas}}
        return replace(self, version=version, status=scaled)


def cached_child(manifest: Manifest, known: CachedChild | None = None) -> CachedChild:
    """What to keep of a child. ``known`` is its last version: mostly only its status changed."""
    metadata = manifest["metadata"]
    text = _content(manifest)
    content = hashlib.sha256(text).digest()[:16]
    kept = known.text if known is not None and known.content == content else b""
    return CachedChild(
        name=metadata["name"],
        uid=str(metadata.get("uid", "")),
        version=str(metadata.get("resourceVersion", "")),
        content=content,
        text=kept or zlib.compress(text),
        status=_status(manifest) if manifest["kind"] == DEPLOYMENTS.kind else None,
    )


def content_hash(manifest: Manifest) -> bytes:
    """A hash of the fields that users or the operator set; it changes when the object is edited.

    It leaves out status, versions and replicas: the right-sizer sets the replicas.
    """
    return hashlib.sha256(_content(manifest)).digest()[:16]


def _content(manifest: Manifest) -> bytes:
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in _VOLATILE}
    annotations = {
        k: v for k, v in (metadata.get("annotations") or {}).items() if k not in _CONTROLLERS
    }
    rest: dict[str, Any] = {k: v for k, v in manifest.items() if k != "status"}
    rest["metadata"] = {**metadata, "annotations": annotations}
    if manifest["kind"] == DEPLOYMENTS.kind:
        rest["spec"] = {k: v for k, v in manifest["spec"].items() if k != "replicas"}
    return _encode(rest)


def _status(deployment: Manifest) -> Manifest:
    metadata, status = deployment["metadata"], deployment.get("status") or {}
    replicas = deployment["spec"].get("replicas")
    conditions = status.get("conditions")
    kept = {k: v for k, v in status.items() if k != "conditions"}
    if conditions:
        kept["conditions"] = [{k: each[k] for k in _CONDITION if k in each} for each in conditions]
    return {
        "kind": DEPLOYMENTS.kind,
        "metadata": {k: metadata[k] for k in ("name", "resourceVersion") if k in metadata},
        "spec": {} if replicas is None else {"replicas": replicas},
        "status": kept,
    }
