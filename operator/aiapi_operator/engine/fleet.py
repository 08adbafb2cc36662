"""The fleet as one tick observes it. Pure.

What exists once for each pod and tick is a ``msgspec.Struct``, as in sizing/inputs.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.pod_view import PodView
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.observe.tls import PodTls
from aiapi_operator.sizing.inputs import PodSample, PodUnknown


class SampledPod(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A pod and its sample."""

    pod: PodView
    sample: PodSample


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The AIApi, its Deployment and its pods in one tick."""

    aiapi: AIApi
    deployment: Manifest | None
    pods: Sequence[PodView]
    answers: tuple[PodSample | PodUnknown, ...] = ()
    apply_errors: Sequence[str] = ()
    """Why children could not be applied."""
    now: float = 0.0
    """Seconds since 1970."""

    @cached_property
    def samples(self) -> dict[str, PodSample]:
        """The samples by pod."""
        return {each.pod: each for each in self.answers if isinstance(each, PodSample)}

    @cached_property
    def sampled_pods(self) -> list[SampledPod]:
        """The pods that have a sample."""
        samples = self.samples
        return [
            SampledPod(pod=pod, sample=samples[pod.name])
            for pod in self.pods
            if pod.name in samples
        ]

    @property
    def silent(self) -> int:
        """Ready pods without a sample."""
        return sum(isinstance(each, PodUnknown) and each.ready for each in self.answers)


def active_pods(pods: Iterable[PodView]) -> list[PodView]:
    """The pods of the fleet: neither terminating nor finished."""
    return [pod for pod in pods if not pod.terminating and not pod.finished]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminAccess:
    """What the operator needs to reach the admin ports of a fleet."""

    tokens: Sequence[str] = field(repr=False)
    """The newest first; a pod accepts one of them."""
    tls: PodTls | None = None
    """What verifies the pods that serve TLS."""

    def target(self, pod: PodView) -> ScrapeTarget | None:
        """The pod's admin port; None while it has none.

        A pod that serves TLS is never contacted without it: anyone could then pose as the pod.
        """
        if not pod.running or not pod.address or (pod.serves_tls and self.tls is None):
            return None
        tls = self.tls if pod.serves_tls else None
        return ScrapeTarget(pod=pod.name, address=pod.address, ready=pod.ready, tls=tls)


def unreachable_pods(pods: Iterable[PodView]) -> list[PodUnknown]:
    """The answers of pods that have no admin port yet, with the reason."""
    return [
        PodUnknown(
            pod=pod.name, ready=pod.ready, reason=pod.problem[0] if pod.problem else "starting"
        )
        for pod in pods
    ]
