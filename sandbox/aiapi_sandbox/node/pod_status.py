"""A pod's status from its containers' statuses: phase and conditions. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.timestamps import format_time
from aiapi_sandbox.kinds.pod_resources import qos_class
from aiapi_sandbox.node.allocations import PendingResize
from aiapi_sandbox.node.container_status import ContainerStatus

JsonObject = Mapping[str, Any]
RESIZE_PENDING = "PodResizePending"
OWN_CONDITIONS = (
    RESIZE_PENDING,
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)


def phase(
    spec: JsonObject, init: Sequence[ContainerStatus], main: Sequence[ContainerStatus]
) -> str:
    """Return the pod's phase, as the kubelet computes it."""
    policy = spec.get("restartPolicy", "Always")
    if not is_initialized(init):
        failed = any(each.exit_code not in (None, 0) for each in init if not each.is_sidecar)
        return "Failed" if failed and policy == "Never" else "Pending"
    if any(container.is_waiting for container in main):
        return "Pending"
    codes = [container.exit_code for container in main]
    if any(code is None for code in codes) or policy == "Always":
        return "Running"
    if all(code == 0 for code in codes):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def is_initialized(init: Sequence[ContainerStatus]) -> bool:
    """Whether all init containers have succeeded, and all sidecars have started."""
    return all(container.is_initialized for container in init)


def build(  # noqa: PLR0913 - the inputs of a status
    pod: JsonObject,
    *,
    init: Sequence[ContainerStatus],
    main: Sequence[ContainerStatus],
    pod_ip: str,
    host_ip: str,
    started: datetime,
    volumes_ready: bool,
    generation: int,
    resize: PendingResize | None,
) -> Obj:
    """Return the complete status. Conditions set by others are kept."""
    spec, before = pod["spec"], pod.get("status", {})
    pod_phase = phase(spec, init, main)
    if before.get("phase") in ("Succeeded", "Failed"):
        pod_phase = before["phase"]
    states = _conditions(spec, before, init, main, pod_phase=pod_phase, volumes_ready=volumes_ready)
    if resize is not None:
        states.insert(0, (RESIZE_PENDING, (True, resize.reason, resize.message)))
    status: Obj = {
        "observedGeneration": generation,
        "phase": pod_phase,
        "conditions": [_condition(before, kind, generation, state) for kind, state in states]
        + [c for c in before.get("conditions", ()) if c["type"] not in OWN_CONDITIONS],
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": format_time(started),
        "containerStatuses": [container.to_api() for container in main],
        "qosClass": before.get("qosClass") or qos_class(spec),
    }
    if init:
        status["initContainerStatuses"] = [container.to_api() for container in init]
    return status


def _conditions(  # noqa: PLR0913 - as above
    spec: JsonObject,
    before: JsonObject,
    init: Sequence[ContainerStatus],
    main: Sequence[ContainerStatus],
    *,
    pod_phase: str,
    volumes_ready: bool,
) -> list[tuple[str, tuple[bool, str, str]]]:
    needed = (*(each for each in init if each.is_sidecar), *main)
    unready = [container.name for container in needed if not container.ready]
    initialized = is_initialized(init)
    waiting = [container.name for container in init if not container.is_initialized]
    why_init = ("ContainersNotInitialized", f"containers with incomplete status: {_list(waiting)}")
    if pod_phase == "Succeeded":
        ready = (False, "PodCompleted", "")
    elif pod_phase == "Failed":
        ready = (False, "PodFailed", "")
    elif unready:
        text = f"containers with unready status: {_list(unready)}"
        ready = (False, "ContainersNotReady", text)
    else:
        ready = (True, "", "")
    closed = [
        gate["conditionType"]
        for gate in spec.get("readinessGates", ())
        if not _is_true(before, gate["conditionType"])
    ]
    gated = (False, "ReadinessGatesNotReady", f"readiness gates are not ready: {_list(closed)}")
    return [
        ("PodReadyToStartContainers", (volumes_ready, "", "")),
        ("Initialized", (True, "", "") if initialized else (False, *why_init)),
        ("Ready", gated if ready[0] and closed else ready),
        ("ContainersReady", ready),
        ("PodScheduled", (True, "", "")),
    ]


def _list(names: Sequence[str]) -> str:
    return f"[{' '.join(names)}]"


def _is_true(status: JsonObject, kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in status.get("conditions", ()))


def _condition(before: JsonObject, kind: str, generation: int, state: tuple[bool, str, str]) -> Obj:
    status = "True" if state[0] else "False"
    known = next((c for c in before.get("conditions", ()) if c["type"] == kind), None)
    same = known is not None and known["status"] == status
    condition: Obj = {"type": kind, "observedGeneration": generation, "status": status}
    condition["lastProbeTime"] = None
    condition["lastTransitionTime"] = (
        known["lastTransitionTime"] if same and known else format_time(datetime.now(UTC))
    )
    texts = {"reason": state[1], "message": state[2]}
    return condition | {name: text for name, text in texts.items() if text}
