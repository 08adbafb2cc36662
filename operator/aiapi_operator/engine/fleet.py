"""From pods to what the right-sizer is told of the fleet. Pure, but for the scrape in between."""

from collections.abc import Iterable, Sequence

from aiapi_operator.engine.pod_view import PodView
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.inputs import PodSample, PodUnknown


def active_pods(pods: Iterable[PodView]) -> list[PodView]:
    """The pods that make up the fleet: those that neither leave nor have ended."""
    return [pod for pod in pods if not pod.terminating and not pod.finished]


def scrape_target(pod: PodView) -> ScrapeTarget | None:
    """Where to ask the pod; None while there is nothing to ask."""
    if not pod.running or not pod.address:
        return None
    return ScrapeTarget(pod=pod.name, address=pod.address, ready=pod.ready)


def unreachable_pods(pods: Iterable[PodView]) -> list[PodUnknown]:
    """The pods that cannot be asked, with why."""
    return [
        PodUnknown(
            pod=pod.name, ready=pod.ready, reason=pod.trouble[0] if pod.trouble else "starting"
        )
        for pod in pods
        if scrape_target(pod) is None
    ]


def samples_by_pod(answers: Sequence[PodSample | PodUnknown]) -> dict[str, PodSample]:
    """The samples by pod."""
    return {answer.pod: answer for answer in answers if isinstance(answer, PodSample)}
