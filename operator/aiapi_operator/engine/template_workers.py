"""The number of workers in the pod template.

With in-place resize it is the user's minimum at the last other change of the template
(``manifests.template_workers``). Without it, it follows the decision, so that new
pods request what they need. Each change replaces every pod, so the template follows a decision
only after it has lasted, and not twice within minutes. The workers of running pods change at
once in either case.
"""

from dataclasses import dataclass

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.manifests.app_container import workers_of
from aiapi_operator.sizing.state import LONG_WINDOW

UP_AFTER = 30.0
MIN_BETWEEN_CHANGES = 300.0
"""Seconds between two changes of the template by the right-sizer."""


@dataclass(slots=True)
class TemplateWorkersState:
    """The workers in the template, and when they changed or began to differ."""

    workers: int = 0
    changed: float | None = None
    differs_since: float | None = None


def adopt(state: TemplateWorkersState, aiapi: AIApi, deployment: Manifest | None) -> None:
    """Take the number from the existing template: a restart must not roll the pods."""
    state.workers = workers_of(deployment or {}) or aiapi.spec.workers.min


def follow(state: TemplateWorkersState, aiapi: AIApi, wanted: int, *, now: float) -> None:
    """Move the template to ``wanted`` once it has differed for long enough."""
    bounds = aiapi.spec.workers
    state.workers = min(bounds.max, max(bounds.min, state.workers))
    if wanted == state.workers:
        state.differs_since = None
        return
    if state.differs_since is None:
        state.differs_since = now
    delay = UP_AFTER if wanted > state.workers else LONG_WINDOW
    too_early = state.changed is not None and now - state.changed < MIN_BETWEEN_CHANGES
    if too_early or now - state.differs_since < delay:
        return
    state.workers, state.changed, state.differs_since = wanted, now, None
