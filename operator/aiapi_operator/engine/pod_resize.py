"""The next step that brings one pod to the wanted size. Pure.

Up: CPU and memory first, then workers once the resize is in effect. Down: workers first, then
CPU and memory once the surplus workers are gone. A step is based on what was observed, not on
what was requested, so a pod between two sizes gets its next step in a later tick.
"""

from dataclasses import dataclass

from aiapi_operator.engine.pod_view import PodView, Resources, exceeds, matches
from aiapi_operator.sizing.inputs import PodSample


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeStep:
    """What to change on a pod. Both None: the pod has the wanted size, or must be waited for."""

    resize: Resources | None = None
    workers: int | None = None
    deferred: bool = False
    """The node has no room yet."""


def next_step(pod: PodView, sample: PodSample, *, workers: int, resources: Resources) -> ResizeStep:
    """The step that brings ``pod`` closer to ``workers`` with ``resources``."""
    change = workers if sample.workers_wanted != workers else None
    if exceeds(resources, pod.resources):
        # A smaller worker count needs no new resources, so it does not wait for the resize.
        down = change if workers < sample.workers_wanted else None
        return ResizeStep(resize=resources, workers=down, deferred=bool(pod.resize_pending))
    if not matches(pod.resources, resources):
        return _shrink(sample, workers, change, resources)
    if workers > sample.workers_wanted and not _in_effect(pod, resources):
        return ResizeStep(deferred=bool(pod.resize_pending))
    return ResizeStep(workers=change)


def _shrink(
    sample: PodSample, workers: int, change: int | None, resources: Resources
) -> ResizeStep:
    remaining = sample.workers_ready + sample.workers_draining
    drained = sample.workers_wanted <= workers and remaining <= workers
    return ResizeStep(workers=change, resize=resources if drained else None)


def _in_effect(pod: PodView, resources: Resources) -> bool:
    """Whether the kubelet has carried out the resize."""
    if pod.resize_pending:
        return False
    return pod.actual is None or not exceeds(resources, pod.actual)
