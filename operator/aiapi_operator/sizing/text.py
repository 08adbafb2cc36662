"""Fleets and pods as messages show them."""

from collections.abc import Sequence

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing.inputs import PodUnknown
from aiapi_operator.sizing.state import Size

NAMED = 3
"""Pods that are named. Chosen: a condition is one line."""


def format_size(size: Size) -> str:
    """A fleet as pods x workers: 2 pods x 3."""
    return f"{count(size.replicas, 'pod')} x {size.workers}"


def describe_change(before: Size, after: Size) -> str:
    """2 pods x 3 -> 2 pods x 4, or: keeping 2 pods x 3 workers."""
    if before == after:
        return f"keeping {count(after.replicas, 'pod')} x {count(after.workers, 'worker')}"
    return f"{format_size(before)} -> {format_size(after)}"


def format_silent_pods(pods: Sequence[PodUnknown]) -> str:
    """The names of a few pods that did not answer, with the reason."""
    named = [f"{pod.pod}: {pod.reason}" if pod.reason else pod.pod for pod in pods[:NAMED]]
    shown, more = ", ".join(named), len(pods) - NAMED
    return f"{shown} and {more} more" if more > 0 else shown
