"""From pods to what the right-sizer is told of the fleet. Pure, but for the scrape in between."""

from collections.abc import Iterable, Sequence

from aiapi_operator.engine.podview import PodView
from aiapi_operator.observe.target import Target
from aiapi_operator.sizing.inputs import PodSample, PodUnknown


def members(pods: Iterable[PodView]) -> list[PodView]:
    """The pods that make up the fleet: those that neither leave nor have ended."""
    return [pod for pod in pods if not pod.terminating and not pod.finished]


def target(pod: PodView) -> Target | None:
    """Where to ask the pod; None while there is nothing to ask."""
    if not pod.running or not pod.address:
        return None
    return Target(pod=pod.name, address=pod.address, ready=pod.ready)


def silent(pods: Iterable[PodView]) -> list[PodUnknown]:
    """The pods that cannot be asked, with why."""
    return [
        PodUnknown(
            pod=pod.name, ready=pod.ready, reason=pod.trouble[0] if pod.trouble else "starting"
        )
        for pod in pods
        if target(pod) is None
    ]


def answered(answers: Sequence[PodSample | PodUnknown]) -> dict[str, PodSample]:
    """The samples by pod."""
    return {answer.pod: answer for answer in answers if isinstance(answer, PodSample)}
