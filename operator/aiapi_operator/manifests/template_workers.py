"""The workers of a new pod. They stay while the rest of the pod template stays.

Running pods are resized in place, so an edit of ``workers.min`` must not restart them. New pods
take the new minimum with the next change of the template: they then request what they need, and
the scheduler places them where all of it fits. An annotation records the number, and the hash of
the template without it.
"""

import json
from collections.abc import Mapping
from typing import Any

ANNOTATION = "aiapi.dev/template-workers"
"""Annotation of the Deployment with the workers of its template."""


def chosen(wanted: int, basis: str, deployment: Mapping[str, Any] | None) -> int:
    """The workers of the Deployment's template if nothing else in it changes, else ``wanted``."""
    kept = None if deployment is None else _recorded(deployment)
    return kept[0] if kept is not None and kept[1] == basis else wanted


def record(workers: int, basis: str) -> str:
    """The text of the annotation."""
    return json.dumps({"workers": workers, "template": basis})


def _recorded(deployment: Mapping[str, Any]) -> tuple[int, str] | None:
    """The workers and the hash in the annotation; None where a user removed or changed it."""
    annotations = deployment["metadata"].get("annotations") or {}
    try:
        found = json.loads(annotations[ANNOTATION])
        workers, basis = int(found["workers"]), str(found["template"])
    except (KeyError, TypeError, ValueError):
        return None
    return (workers, basis) if workers > 0 else None
