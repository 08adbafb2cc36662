"""The conditions Accepted, Reconciled and Ready: what is wrong and what to do. Pure.

Ready names the cause that a person can fix first: a rejected child before the pods that are
missing because of it, an image that cannot be pulled before pods that are not ready yet.
"""

from collections.abc import Sequence

from aiapi_operator.api import AIApi
from aiapi_operator.engine import refused_pods, start_failures
from aiapi_operator.engine.fleet import Observation
from aiapi_operator.engine.pod_view import PodView
from aiapi_operator.sizing.decision import Condition

_LONG_IMPORT = 60.0
"""Seconds of a start after which the condition says that the import has not ended."""
_PULL_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}

NOT_CREATED = Condition(
    type="Ready",
    status=False,
    reason="InvalidSpec",
    message="Nothing was created because the spec is not valid; see condition Accepted.",
)


def accepted() -> Condition:
    """The spec is valid."""
    return Condition(type="Accepted", status=True, reason="Valid", message="The spec is valid.")


def rejected(problem: str) -> Condition:
    """The spec passed the API server and still breaks a rule."""
    return Condition(
        type="Accepted",
        status=False,
        reason="InvalidSpec",
        message=f"{problem}. Correct the spec. Until then, running pods are not changed.",
    )


def forbidden(problems: Sequence[str]) -> Condition:
    """The podTemplate asks for more than the administrator allows."""
    return Condition(
        type="Accepted",
        status=False,
        reason="PodTemplateForbidden",
        message=f"{'; '.join(problems[:5])}. Until then, running pods are not changed.",
    )


def reconciled(apply_errors: Sequence[str], act_errors: Sequence[str]) -> Condition:
    """Whether the children are up to date and the last decision was carried out."""
    kind = "Reconciled"
    if apply_errors:
        message = f"The API server rejected {'; '.join(apply_errors)}. Retrying."
        return Condition(type=kind, status=False, reason="ChildrenRefused", message=message)
    if act_errors:
        message = f"The decision was not fully carried out: {'; '.join(act_errors[:3])}."
        return Condition(type=kind, status=False, reason="ActRefused", message=message)
    message = "All children are up to date."
    return Condition(type=kind, status=True, reason="UpToDate", message=message)


def readiness(observation: Observation, *, default_image: str) -> Condition:
    """Whether enough pods are ready, or why not."""
    ready = sum(pod.ready for pod in observation.pods)
    required = _required(observation)
    count = f"{ready} of {required} pods are ready"
    if ready >= required and observation.deployment is not None:
        return Condition(type="Ready", status=True, reason="Serving", message=f"{count}.")
    cause = _cause(observation, default_image)
    reason, message = cause or ("PodsNotReady", f"{count}; the others are starting.")
    return Condition(type="Ready", status=False, reason=reason, message=message)


def asleep(message: str) -> Condition:
    """No pod runs, as intended."""
    return Condition(type="Ready", status=True, reason="Asleep", message=message)


def _required(observation: Observation) -> int:
    """The pods that must be ready: ``replicas.min``, or the Deployment's replicas if fewer."""
    replicas = (observation.deployment or {}).get("spec", {}).get("replicas")
    minimum = observation.aiapi.spec.replicas.min
    return minimum if replicas is None else max(1, min(minimum, replicas))


def _cause(observation: Observation, default_image: str) -> tuple[str, str] | None:
    if observation.apply_errors:
        errors = "; ".join(observation.apply_errors)
        return (
            "ChildrenRefused",
            f"The API server rejected {errors}. Allow it or change the spec.",
        )
    found = pod_cause(observation, default_image)
    return found or refused_pods.not_created(observation.deployment or {})


def pod_cause(observation: Observation, default_image: str) -> tuple[str, str] | None:
    """Reason and message of the first pod that is not ready and says why."""
    causes = (
        _pod_cause(observation, pod, default_image) for pod in observation.pods if not pod.ready
    )
    return next((cause for cause in causes if cause), None)


def _pod_cause(
    observation: Observation, pod: PodView, default_image: str
) -> tuple[str, str] | None:
    aiapi, sample = observation.aiapi, observation.samples.get(pod.name)
    if sample is not None and sample.failure:
        found = start_failures.import_cause(aiapi, sample.failure)
        return found or ("AppFailed", _app_failed(aiapi, sample.failure))
    if pod.problem is None:
        return _import_cause(observation, pod)
    if pod.other_container:
        return "SidecarFailing", _sidecar_failing(pod, *pod.problem)
    return _runtime_cause(pod, pod.problem) or _container_cause(aiapi, pod, default_image)


def _runtime_cause(pod: PodView, problem: tuple[str, str]) -> tuple[str, str] | None:
    """A problem of the runtime's image or init container, which the app's author cannot fix."""
    reason, message = problem
    image = pod.runtime_image
    is_volume = image and image in message
    if reason in _PULL_REASONS and (pod.runtime_pending or is_volume):
        detail = f" ({message})" if message else ""
        return "RuntimePullFailed", (
            f"Runtime image {image} cannot be pulled{detail}. Correct runtime.image in the values"
            " of the operator's chart, or set imagePullSecrets in spec.podTemplate."
        )
    if pod.runtime_pending:
        detail = start_failures.last_line(message) or reason
        return "RuntimeCopyFailed", (
            f"Init container aiapi-runtime of pod {pod.name} fails: {detail}. Correct runtime.image"
            " in the values of the operator's chart, or the container in spec.podTemplate."
        )
    return None


def _container_cause(aiapi: AIApi, pod: PodView, default_image: str) -> tuple[str, str] | None:
    reason, message = pod.problem or ("", "")
    if reason in _PULL_REASONS:
        return "ImagePullFailed", _pull_failed(aiapi.spec.image, default_image, message)
    if reason == refused_pods.UNSCHEDULABLE:
        return refused_pods.not_scheduled(message)
    if reason == "OOMKilled":
        return "OOMKilled", (
            f"The kernel killed the app of pod {pod.name}: it used more memory than its limit or"
            " than the node has. Raise the memory limit in spec.podTemplate or the LimitRange, or"
            " workers.memory, or lower workers.max."
        )
    if found := start_failures.cause(aiapi, message):
        return found
    if reason == "CrashLoopBackOff":
        failure = start_failures.last_line(message) or "it exits soon after it starts"
        return "AppFailed", _app_failed(aiapi, failure)
    return reason, f"Pod {pod.name} does not start: {message or reason}."


def _import_cause(observation: Observation, pod: PodView) -> tuple[str, str] | None:
    """An import that has not ended for long, and may never."""
    sample = observation.samples.get(pod.name)
    seconds = observation.now - pod.running_since if pod.running_since else 0.0
    if sample is None or sample.workers_ready or seconds < _LONG_IMPORT:
        return None
    app = observation.aiapi.spec.app or "the bundled app"
    return "ImportNotFinished", start_failures.import_takes_long(app, f"{seconds:.0f} s")


def _sidecar_failing(pod: PodView, reason: str, message: str) -> str:
    detail = start_failures.last_line(message) or reason
    return (
        f"Container {pod.other_container} of pod {pod.name} fails ({reason}): {detail.rstrip('.')}."
        " Correct it in spec.podTemplate, or see why it was injected. To see its log, run:"
        f" kubectl logs -n {pod.namespace} {pod.name} -c {pod.other_container}"
    )


def _app_failed(aiapi: AIApi, failure: str) -> str:
    app = aiapi.spec.app or "the bundled app"
    return (
        f"{app} does not start: {failure}. Correct spec.app, spec.env or the image. To see the"
        f" log, run: kubectl logs -n {aiapi.namespace} deployment/{aiapi.name}"
    )


def _pull_failed(image: str | None, default_image: str, message: str) -> str:
    detail = f" ({message})" if message else ""
    advice = (
        "Correct spec.image, or set imagePullSecrets in spec.podTemplate."
        if image
        else "Set serviceImage and imagePullSecrets in the values of the operator's chart; the"
        " secrets must exist in this namespace."
    )
    return f"Image {image or default_image} cannot be pulled{detail}. {advice}"
