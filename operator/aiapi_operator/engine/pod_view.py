"""The fields of a Pod that the engine uses."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain
from sys import intern
from typing import Any

from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.api.quantity import Quantity, parse_quantity
from aiapi_operator.cluster.resize import PendingResize, pending
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.cluster.scale import DELETION_COST
from aiapi_operator.engine.refused_pods import UNSCHEDULABLE
from aiapi_operator.manifests.runtime import NAME as RUNTIME

_OOM = "OOMKilled"
_EX_CONFIG = 78
"""Exit code of the launcher where a restart does not help."""

Resources = dict[str, dict[str, Quantity]]
"""A container's ``requests`` and ``limits``. Equal ones of different pods are one object."""
_SIDES = ("requests", "limits")
_SIZES = 4096
"""Different resources that are kept for sharing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """One pod."""

    name: str
    uid: str
    address: str
    running: bool
    """The app container runs, so the admin port may answer."""
    ready: bool
    terminating: bool
    finished: bool
    """The pod ended, for instance by eviction, and its ReplicaSet replaced it."""
    resources: Resources
    actual: Resources | None
    """The resources in effect on the node; None where the kubelet does not report them."""
    resize_pending: PendingResize | None
    deletion_cost: int
    problem: tuple[str, str] | None
    """Reason and message while the pod does not start or keeps failing."""
    runtime_image: str = ""
    """Image of the injected runtime; empty if there is none."""
    runtime_pending: bool = False
    """The problem is in the init container of the runtime."""
    other_container: str = ""
    """The container that the problem is in, if it is neither the app's nor the runtime's."""
    running_since: float | None = None
    """When the app container started, in seconds since 1970."""
    namespace: str = ""
    serves_tls: bool = False
    """The admin port serves TLS: the scheme of the readiness probe, which never changes in a
    running pod."""


def pod_view(pod: Manifest) -> PodView:
    """Read a Pod."""
    metadata, status, spec = pod["metadata"], pod.get("status") or {}, pod.get("spec") or {}
    app = _named(status.get("containerStatuses"))
    runtime = _named(status.get("initContainerStatuses"), RUNTIME)
    runtime_problem = _container_problem(runtime)
    not_started = _not_scheduled(status) or runtime_problem or _container_problem(app)
    other, other_problem = ("", None) if not_started else _other_problem(status)
    return PodView(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        address=status.get("podIP") or "",
        running="running" in (app.get("state") or {}),
        ready=_condition(status, "Ready").get("status") == "True",
        terminating=bool(metadata.get("deletionTimestamp")),
        finished=status.get("phase") in ("Failed", "Succeeded"),
        resources=_shared(_named(spec.get("containers")).get("resources") or {}),
        actual=None if (actual := app.get("resources")) is None else _shared(actual),
        resize_pending=pending(pod),
        deletion_cost=_cost(metadata.get("annotations") or {}),
        problem=not_started or other_problem,
        runtime_image=intern(_runtime_image(spec)),
        runtime_pending=runtime_problem is not None,
        other_container=other,
        running_since=_running_since(app),
        namespace=intern(metadata.get("namespace", "")),
        serves_tls=_serves_tls(_named(spec.get("containers"))),
    )


def _serves_tls(container: dict[str, Any]) -> bool:
    probe = (container.get("readinessProbe") or {}).get("httpGet") or {}
    return probe.get("scheme") == "HTTPS"


def _shared(resources: Resources) -> Resources:
    return _resources(*(tuple((resources.get(side) or {}).items()) for side in _SIDES))


@lru_cache(_SIZES)
def _resources(*amounts: tuple[tuple[str, Quantity], ...]) -> Resources:
    return {side: dict(each) for side, each in zip(_SIDES, amounts, strict=True) if each}


def _named(containers: list[dict[str, Any]] | None, name: str = APP_CONTAINER) -> dict[str, Any]:
    for container in containers or ():
        if container.get("name") == name:
            return container
    return {}


def _runtime_image(spec: dict[str, Any]) -> str:
    volume = _named(spec.get("volumes"), RUNTIME).get("image") or {}
    container = _named(spec.get("initContainers"), RUNTIME)
    return str(volume.get("reference") or container.get("image") or "")


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind:
            return dict(condition)
    return {}


def _cost(annotations: dict[str, str]) -> int:
    try:
        return int(annotations.get(DELETION_COST, 0))
    except ValueError:
        return 0


def _not_scheduled(status: dict[str, Any]) -> tuple[str, str] | None:
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") != "False":
        return None
    return UNSCHEDULABLE, scheduled.get("message") or "no node is available"


def _running_since(status: dict[str, Any]) -> float | None:
    started = ((status.get("state") or {}).get("running") or {}).get("startedAt")
    try:
        return datetime.fromisoformat(started).timestamp() if started else None
    except ValueError:
        return None


def _other_problem(status: dict[str, Any]) -> tuple[str, tuple[str, str] | None]:
    """The first sidecar or init container with a problem, by name."""
    containers = chain(
        status.get("initContainerStatuses") or (), status.get("containerStatuses") or ()
    )
    others = (each for each in containers if each.get("name") not in (APP_CONTAINER, RUNTIME))
    found = ((str(each.get("name")), _container_problem(each)) for each in others)
    return next(((name, problem) for name, problem in found if problem), ("", None))


def _container_problem(status: dict[str, Any]) -> tuple[str, str] | None:
    state = status.get("state") or {}
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    message = (ended.get("message") or "").strip()
    if not status.get("ready") and message and ended.get("exitCode") == _EX_CONFIG:
        return "CrashLoopBackOff", message
    if not status.get("ready") and ended.get("reason") == _OOM:
        return _OOM, message
    waiting = state.get("waiting") or {}
    if waiting.get("reason") in (None, "ContainerCreating", "PodInitializing"):
        return None
    return waiting["reason"], message or (waiting.get("message") or "").strip()


def is_carried_out(pod: PodView, resources: Resources) -> bool:
    """Whether the kubelet has given the container these resources."""
    if pod.actual is None:
        return pod.resize_pending is None
    return not exceeds(resources, pod.actual)


def matches(resources: Resources, wanted: Resources) -> bool:
    """Whether ``resources`` has every amount in ``wanted``; other resources may differ."""
    # Mostly the amounts have the same text. Then none needs to be parsed.
    if all(resources.get(side, {}).items() >= each.items() for side, each in wanted.items()):
        return True
    amounts = _amounts(resources)
    return all(amounts.get(key) == amount for key, amount in _amounts(wanted).items())


def exceeds(one: Resources, other: Resources) -> bool:
    """Whether ``one`` has more than ``other`` of any resource."""
    limits = _amounts(other)
    return any(amount > limits.get(key, 0) for key, amount in _amounts(one).items())


def _amounts(resources: Resources | None) -> dict[tuple[str, str], Any]:
    return dict(_each(resources or {}))


def _each(resources: Resources) -> Iterator[tuple[tuple[str, str], Any]]:
    for side in _SIDES:
        for kind, amount in (resources.get(side) or {}).items():
            yield (side, kind), parse_quantity(amount)
