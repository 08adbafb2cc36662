"""The workers in the pod template: the user's floor, or what is wanted where pods can't be resized.

A change of the template replaces every pod, so without in-place resize the template follows a
need only when it has lasted, and not twice within minutes. Workers themselves move at once in
either case; the template makes the pods' requests honest afterwards.
"""

from aiapi_operator.api import AIApi
from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.aiapi_state import Template

UP_AFTER = 30.0
DOWN_AFTER = 600.0
NOT_WITHIN = 300.0
"""Seconds between two changes of the template for the right-sizer's sake."""


def adopt(aiapi: AIApi, deployment: Manifest | None) -> Template:
    """What the template has now; a restarted operator must not roll the pods."""
    return Template(_in_template(deployment) or aiapi.spec.workers.min)


def _in_template(deployment: Manifest | None) -> int:
    spec = ((deployment or {}).get("spec") or {}).get("template", {}).get("spec", {})
    for container in spec.get("containers") or ():
        if container.get("name") == APP_CONTAINER:
            values = {e["name"]: e.get("value", "") for e in container.get("env") or ()}
            told = values.get("AIAPI_WORKERS", "")
            return int(told) if told.isdigit() else 0
    return 0


def follow(template: Template, aiapi: AIApi, wanted: int, *, now: float) -> None:
    """Let the template follow ``wanted`` when it has differed for long enough."""
    bounds = aiapi.spec.workers
    template.workers = min(bounds.max, max(bounds.min, template.workers))
    if wanted == template.workers:
        template.differs_since = None
        return
    if template.differs_since is None:
        template.differs_since = now
    lasting = UP_AFTER if wanted > template.workers else DOWN_AFTER
    early = template.changed is not None and now - template.changed < NOT_WITHIN
    if early or now - template.differs_since < lasting:
        return
    template.workers, template.changed, template.differs_since = wanted, now, None
