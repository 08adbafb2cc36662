"""The next step that brings one pod to the wanted size. Pure.

Up: CPU and memory first, then workers once the resize is in effect. Down: workers first, then
CPU and memory once the surplus workers are gone. A step is based on what was observed, not on
what was requested, so a pod between two sizes gets its next step in a later tick.
"""

import msgspec

from aiapi_operator.engine.pod_view import PodView, Resources, exceeds, is_carried_out, matches
from aiapi_operator.sizing.inputs import PodSample


class ResizeStep(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What to change on a pod. Both None: the pod has the wanted size, or must be waited for."""

    resize: Resources | None = None
    workers: int | None = None


def next_step(pod: PodView, sample: PodSample, *, workers: int, resources: Resources) -> ResizeStep:
    """The step that brings ``pod`` closer to ``workers`` with ``resources``."""
    change = workers if sample.workers_wanted != workers else None
    grows = workers > sample.workers_wanted
    if not matches(pod.resources, resources):
        at_once = grows or exceeds(resources, pod.resources) or _is_drained(sample, workers)
        # Workers whose resources are there already do not wait for the resize.
        waits = grows and (exceeds(resources, pod.resources) or not is_carried_out(pod, resources))
        return ResizeStep(resize=resources if at_once else None, workers=None if waits else change)
    if grows and not is_carried_out(pod, resources):
        return ResizeStep()
    return ResizeStep(workers=change)


def _is_drained(sample: PodSample, workers: int) -> bool:
    remaining = sample.workers_ready + sample.workers_draining
    return sample.workers_wanted <= workers and remaining <= workers
