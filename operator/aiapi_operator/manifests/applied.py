"""The annotation with the hash of the manifest that was applied last.

An object that has all fields of a manifest may also have fields that an earlier manifest set and
this one does not. With the same hash there are none, because the operator applies nothing else.
The pod template has no such annotation: it would replace the pods.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

ANNOTATION = "aiapi.dev/applied"


def with_hash(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the annotation."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), ANNOTATION: manifest_hash(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """A hash of a manifest; of the data of a Secret it contains the keys alone."""
    visible = {**manifest, "data": sorted(manifest.get("data", ()))}
    text = json.dumps(visible, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
