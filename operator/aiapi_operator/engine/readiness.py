"""Whether an AIApi serves, and if not, why and what to do about it. Pure.

The cause that a person can do something about comes first: a refused child before pods that are
missing for it, an image that cannot be pulled before pods that are merely not ready.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.pod_view import PodView
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.inputs import PodSample

_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessInputs:
    """What readiness is judged by."""

    aiapi: AIApi
    default_image: str
    refused: Sequence[str]
    deployment: Manifest | None
    pods: Sequence[PodView]
    samples: dict[str, PodSample]

    @property
    def ready(self) -> int:
        """Pods that take traffic."""
        return sum(pod.ready for pod in self.pods)

    @property
    def wanted(self) -> int:
        """Pods that must be ready: the user's floor, or what was ordered if that is less."""
        ordered = (self.deployment or {}).get("spec", {}).get("replicas")
        floor = self.aiapi.spec.replicas.min
        return floor if ordered is None else max(1, min(floor, ordered))


NEVER_ACCEPTED = Condition(
    type="Ready",
    status=False,
    reason="InvalidSpec",
    message="Nothing was made yet: the spec is not valid, and the condition Accepted says why.",
)


def accepted() -> Condition:
    """The spec can be read."""
    return Condition(type="Accepted", status=True, reason="Valid", message="The spec is valid.")


def rejected(problem: str) -> Condition:
    """The spec got past the API server, and still breaks a rule."""
    return Condition(
        type="Accepted",
        status=False,
        reason="InvalidSpec",
        message=f"{problem}. Correct the spec; until then what runs is left as it is.",
    )


def reconciled(refused: Sequence[str], troubles: Sequence[str]) -> Condition:
    """The children are as they should be, and the last decision could be carried out."""
    kind = "Reconciled"
    if refused:
        message = f"The API server refused {'; '.join(refused)}. It is tried again."
        return Condition(type=kind, status=False, reason="ChildrenRefused", message=message)
    if troubles:
        message = f"A decision could not be carried out in full: {'; '.join(troubles[:3])}."
        return Condition(type=kind, status=False, reason="ActRefused", message=message)
    return Condition(type=kind, status=True, reason="UpToDate", message="All is as wanted.")


def readiness(scene: ReadinessInputs) -> Condition:
    """Whether enough pods serve, or why not."""
    tally = f"{scene.ready} of {scene.wanted} pods are ready"
    if scene.ready >= scene.wanted and scene.deployment is not None:
        return Condition(type="Ready", status=True, reason="Serving", message=f"{tally}.")
    reason, message = _cause(scene) or ("PodsNotReady", f"{tally}; the others are starting.")
    return Condition(type="Ready", status=False, reason=reason, message=message)


def _cause(scene: ReadinessInputs) -> tuple[str, str] | None:
    if scene.refused:
        said = "; ".join(scene.refused)
        return "ChildrenRefused", f"The API server refused {said}. Allow it or change the spec."
    told = (_pod_trouble(scene, pod) for pod in scene.pods if not pod.ready)
    found = next((cause for cause in told if cause), None)
    return found or _pods_refused(scene.deployment or {})


def _pod_trouble(scene: ReadinessInputs, pod: PodView) -> tuple[str, str] | None:
    sample = scene.samples.get(pod.name)
    if sample is not None and sample.failure:
        return "AppFailed", _app_failed(scene.aiapi, sample.failure)
    if pod.trouble is None:
        return None
    reason, message = pod.trouble
    if reason in _PULL:
        image = scene.aiapi.spec.image or scene.default_image
        why = f" ({message})" if message else ""
        return "ImagePullFailed", (
            f"The image {image} cannot be pulled{why}. Correct spec.image, or give the pods an"
            " imagePullSecret in spec.podTemplate."
        )
    if reason == "Unschedulable":
        return reason, (
            f"No node can take a pod: {message}. Add nodes, or lower spec.workers.cpu or"
            " spec.workers.memory."
        )
    if reason == "CrashLoopBackOff":
        return "AppFailed", _app_failed(scene.aiapi, message or "it ends soon after it starts")
    return reason, f"Pod {pod.name} does not start: {message or reason}."


def _app_failed(aiapi: AIApi, failure: str) -> str:
    app = aiapi.spec.app or "the bundled app"
    return (
        f"{app} does not start: {failure}. Correct spec.app, spec.env or the image; see the log"
        f" of a pod (kubectl logs -n {aiapi.namespace} deployment/{aiapi.name})."
    )


def _pods_refused(deployment: Manifest) -> tuple[str, str] | None:
    """A quota or an admission rule keeps the ReplicaSet from making pods."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            said = condition.get("message") or condition.get("reason") or "no reason given"
            return "PodsRefused", f"Pods cannot be made: {said}."
    return None
