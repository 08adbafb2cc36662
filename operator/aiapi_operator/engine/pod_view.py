"""What the engine reads of a Pod: where it is, how it does, and what it was given."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.api.quantity import Quantity, parse_quantity
from aiapi_operator.cluster.resize import pending
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.cluster.scale import DELETION_COST

Resources = dict[str, dict[str, Quantity]]
"""A container's ``requests`` and ``limits``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """One pod, as last seen."""

    name: str
    uid: str
    address: str
    running: bool
    """Its app container runs, so that its admin port can be asked."""
    ready: bool
    terminating: bool
    finished: bool
    """It ended for good (evicted, for instance), and its ReplicaSet has another one."""
    resources: Resources
    actual: Resources | None
    """What the kubelet has given it; None where it does not say."""
    resize_pending: str
    deletion_cost: int
    trouble: tuple[str, str] | None
    """Reason and message when it does not get to run, or not for long."""


def pod_view(pod: Manifest) -> PodView:
    """Read a Pod."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    app = _named(status.get("containerStatuses"))
    return PodView(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        address=status.get("podIP") or "",
        running="running" in (app.get("state") or {}),
        ready=_condition(status, "Ready").get("status") == "True",
        terminating=bool(metadata.get("deletionTimestamp")),
        finished=status.get("phase") in ("Failed", "Succeeded"),
        resources=_named(pod["spec"].get("containers")).get("resources") or {},
        actual=app.get("resources"),
        resize_pending=pending(pod),
        deletion_cost=_cost(metadata.get("annotations") or {}),
        trouble=_trouble(status, app),
    )


def _named(containers: list[dict[str, Any]] | None) -> dict[str, Any]:
    for container in containers or ():
        if container.get("name") == APP_CONTAINER:
            return container
    return {}


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


def _trouble(status: dict[str, Any], app: dict[str, Any]) -> tuple[str, str] | None:
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return "Unschedulable", scheduled.get("message") or "no node can take it"
    waiting = (app.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") in (None, "ContainerCreating", "PodInitializing"):
        return None
    told = (app.get("lastState") or {}).get("terminated") or {}
    message = told.get("message") or waiting.get("message") or ""
    return waiting["reason"], message.strip()


def matches(resources: Resources, wanted: Resources) -> bool:
    """Whether ``resources`` has exactly the amounts that ``wanted`` names; others are not ours."""
    there = _amounts(resources)
    return all(there.get(key) == amount for key, amount in _amounts(wanted).items())


def exceeds(one: Resources, other: Resources) -> bool:
    """Whether ``one`` asks for more than ``other`` of anything."""
    less = _amounts(other)
    return any(amount > less.get(key, 0) for key, amount in _amounts(one).items())


def _amounts(resources: Resources | None) -> dict[tuple[str, str], Any]:
    return dict(_each(resources or {}))


def _each(resources: Resources) -> Iterator[tuple[tuple[str, str], Any]]:
    for side in ("requests", "limits"):
        for kind, amount in (resources.get(side) or {}).items():
            yield (side, kind), parse_quantity(amount)
