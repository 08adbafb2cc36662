"""The AIApi and its pods as the demo observes them through the Kubernetes API."""

import re
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "%": 0.01, "": 1.0}


def parse_quantity(text: object) -> float | None:
    """A value from the status (412ms, 1.5s, 43%), in seconds or as a part of one."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*(ms|s|m|%|)\s*", str(text))
    return float(found[1]) * _UNITS[found[2]] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCondition:
    """One condition of the AIApi."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedAIApi:
    """The status of the AIApi. Empty until the operator has written it."""

    workers: int | None = None
    replicas: int | None = None
    ready_replicas: int = 0
    reason: str = ""
    message: str = ""
    binding: str = ""
    conditions: tuple[ObservedCondition, ...] = ()

    @property
    def wanted(self) -> int | None:
        """Workers wanted in the whole fleet."""
        if self.workers is None or self.replicas is None:
            return None
        return self.workers * self.replicas

    def condition(self, kind: str) -> ObservedCondition | None:
        """The condition of this type, if there is one."""
        return next((each for each in self.conditions if each.type == kind), None)


def service_url(obj: Object) -> str:
    """The URL of a Service with one port.

    The sandbox sets an annotation if it could not bind port 80.
    """
    address = (obj["metadata"].get("annotations") or {}).get("sandbox.aiapi.dev/address")
    spec = obj["spec"]
    cluster_address = f"{spec['clusterIP']}:{spec['ports'][0]['port']}"
    return f"http://{address or cluster_address}"


def read_aiapi(obj: Object) -> ObservedAIApi:
    """Read an AIApi object."""
    status = obj.get("status") or {}
    decision = status.get("decision") or {}
    return ObservedAIApi(
        workers=decision.get("workers"),
        replicas=decision.get("replicas"),
        ready_replicas=status.get("readyReplicas") or 0,
        reason=decision.get("reason") or "",
        message=decision.get("message") or "",
        binding=decision.get("binding") or "",
        conditions=tuple(
            ObservedCondition(
                type=each["type"],
                status=each["status"],
                reason=each.get("reason", ""),
                message=each.get("message", ""),
            )
            for each in status.get("conditions") or ()
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPod:
    """One pod with an address."""

    name: str
    address: str
    terminating: bool
    ready: bool


def read_pod(obj: Object) -> ObservedPod | None:
    """Read a Pod object; None until it is running."""
    status = obj.get("status") or {}
    if status.get("phase") != "Running" or not status.get("podIP"):
        return None
    return ObservedPod(
        name=obj["metadata"]["name"],
        address=status["podIP"],
        terminating="deletionTimestamp" in obj["metadata"],
        ready=any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in status.get("conditions") or ()
        ),
    )
