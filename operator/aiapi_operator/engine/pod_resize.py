"""What to do next to one pod so that it gets to the wanted size. Pure.

Up: CPU and memory first, workers once the kubelet has given them. Down: workers first, CPU and
memory once the surplus workers have gone. A pod that is somewhere on the way gets the next step
in a later tick, so each step stands on what was seen and not on what was ordered.
"""

from dataclasses import dataclass

from aiapi_operator.engine.pod_view import PodView, Resources, exceeds, matches
from aiapi_operator.sizing.inputs import PodSample


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeStep:
    """The next thing to do to a pod; both None when it is as wanted, or has to be waited for."""

    resize: Resources | None = None
    workers: int | None = None
    deferred: bool = False
    """The node has not (or not yet) room for it."""


def next_step(pod: PodView, sample: PodSample, *, workers: int, resources: Resources) -> ResizeStep:
    """The step that brings ``pod`` nearer to ``workers`` with ``resources``."""
    order = workers if sample.workers_wanted != workers else None
    growing = exceeds(resources, pod.resources)
    if growing:
        # What needs no more resources than the pod has may come at once.
        down = order if workers < sample.workers_wanted else None
        return ResizeStep(resize=resources, workers=down, deferred=bool(pod.resize_pending))
    if not matches(pod.resources, resources):
        return _shrink(sample, workers, order, resources)
    if workers > sample.workers_wanted and not _granted(pod, resources):
        return ResizeStep(deferred=bool(pod.resize_pending))
    return ResizeStep(workers=order)


def _shrink(sample: PodSample, workers: int, order: int | None, resources: Resources) -> ResizeStep:
    still_there = sample.workers_ready + sample.workers_draining
    gone = sample.workers_wanted <= workers and still_there <= workers
    return ResizeStep(workers=order, resize=resources if gone else None)


def _granted(pod: PodView, resources: Resources) -> bool:
    """Whether the kubelet has given the pod what it was promised."""
    if pod.resize_pending:
        return False
    return pod.actual is None or not exceeds(resources, pod.actual)
