"""Numbers, durations and sizes as messages show them: short, with a unit, fit for a terminal."""

from collections.abc import Sequence

from aiapi_operator.sizing.inputs import PodUnknown
from aiapi_operator.sizing.state import Size


def number(value: float, digits: int = 3) -> str:
    """``value`` rounded to ``digits`` significant digits: 412.3 -> 412, 12345 -> 12,300."""
    rounded = float(f"{value:.{digits}g}")
    if rounded == int(rounded) and abs(rounded) < 1e15:
        return f"{int(rounded):,}"
    return f"{rounded:.{digits}g}"


def duration(seconds: float, digits: int = 2) -> str:
    """Seconds with a readable unit: 0.0091 -> 9.1 ms, 2.41 -> 2.4 s."""
    if seconds == 0:
        return "0 ms"
    if seconds < 0.001:
        return f"{number(seconds * 1e6, digits)} us"
    if seconds < 1:
        return f"{number(seconds * 1000, digits)} ms"
    return f"{number(seconds, max(digits, 2))} s"


def percent(part: float) -> str:
    """A fraction as a percentage: 0.314 -> 31 %."""
    return f"{round(100 * part)} %"


def count(many: int, noun: str) -> str:
    """A number with its noun: 1 pod, 2 pods."""
    return f"{many} {noun}" if many == 1 else f"{many} {noun}s"


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
    named = [f"{pod.pod}: {pod.reason}" if pod.reason else pod.pod for pod in pods[:3]]
    shown, more = ", ".join(named), len(pods) - 3
    return f"{shown} and {more} more" if more > 0 else shown
