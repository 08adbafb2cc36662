"""Fleets and pods in messages."""

from unit.sizing.requirements import size

from aiapi_operator.sizing.inputs import PodUnknown
from aiapi_operator.sizing.text import describe_change, format_silent_pods, format_size


def silent(*reasons: str) -> list[PodUnknown]:
    return [PodUnknown(pod=f"p{i}", ready=True, reason=each) for i, each in enumerate(reasons)]


def test_a_fleet() -> None:
    assert format_size(size(3, 2)) == "2 pods x 3"
    assert format_size(size(3, 1)) == "1 pod x 3"


def test_a_change() -> None:
    assert describe_change(size(3, 2), size(4, 2)) == "2 pods x 3 -> 2 pods x 4"
    assert describe_change(size(3, 1), size(3, 1)) == "keeping 1 pod x 3 workers"
    assert describe_change(size(1, 4), size(1, 4)) == "keeping 4 pods x 1 worker"


def test_only_some_silent_pods_are_listed() -> None:
    assert format_silent_pods(silent("timeout", "")) == "p0: timeout, p1"
    five = format_silent_pods(silent(*["timeout"] * 5))
    assert five == "p0: timeout, p1: timeout, p2: timeout and 2 more"
    assert format_silent_pods(silent(*["timeout"] * 3)).endswith("p2: timeout")
