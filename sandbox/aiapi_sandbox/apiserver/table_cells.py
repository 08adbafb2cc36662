"""Cell functions for the table columns of built-in kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiapi_sandbox.apimachinery.durations import age
from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.jsonpath import find
from aiapi_sandbox.apimachinery.selectors import format_selector


def text(obj: Obj, path: str, missing: str = "<none>") -> str:
    found = find(obj, path)
    return str(found[0]) if found and found[0] not in (None, "") else missing


def number(path: str) -> Callable[[Obj], int]:
    def cell(obj: Obj) -> int:
        found = find(obj, path)
        return found[0] if found and isinstance(found[0], int) else 0

    return cell


def created(obj: Obj) -> Any:
    return obj["metadata"].get("creationTimestamp")


def label_selector(selector: Obj | None) -> str:
    return format_selector(selector) or "<none>"


def selector(obj: Obj) -> str:
    value = obj.get("spec", {}).get("selector") or {}
    if obj["kind"] == "Service":
        value = {"matchLabels": value}
    return label_selector(value)


def _pod_containers(obj: Obj) -> list[Obj]:
    containers: list[Obj] = obj["spec"]["template"]["spec"].get("containers") or []
    return containers


def containers(obj: Obj) -> str:
    return ",".join(item.get("name", "") for item in _pod_containers(obj))


def images(obj: Obj) -> str:
    return ",".join(item.get("image", "") for item in _pod_containers(obj))


def _statuses(pod: Obj) -> list[Obj]:
    statuses: list[Obj] = pod.get("status", {}).get("containerStatuses") or []
    return statuses


def pod_ready(pod: Obj) -> str:
    ready = sum(1 for status in _statuses(pod) if status.get("ready"))
    return f"{ready}/{len(pod['spec'].get('containers') or ())}"


def pod_status(pod: Obj) -> str:
    status = pod.get("status", {})
    word: str = status.get("reason") or status.get("phase") or "Pending"
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    for container in reversed(_statuses(pod)):
        state = container.get("state") or {}
        if waiting := (state.get("waiting") or {}).get("reason"):
            word = waiting
        elif ended := state.get("terminated"):
            word = ended.get("reason") or f"ExitCode:{ended.get('exitCode', 0)}"
    return word


def pod_restarts(pod: Obj) -> str:
    count = sum(status.get("restartCount", 0) for status in _statuses(pod))
    ends = [
        ended["finishedAt"]
        for status in _statuses(pod)
        if (ended := (status.get("lastState") or {}).get("terminated")) and ended.get("finishedAt")
    ]
    return f"{count} ({age(max(ends))} ago)" if count and ends else str(count)


def deployment_ready(obj: Obj) -> str:
    ready = number(".status.readyReplicas")(obj)
    return f"{ready}/{number('.spec.replicas')(obj)}"


def service_ports(obj: Obj) -> str:
    ports = obj["spec"].get("ports") or ()
    texts = [
        f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}"
        f"/{port.get('protocol', 'TCP')}"
        for port in ports
    ]
    return ",".join(texts) or "<none>"


def node_status(node: Obj) -> str:
    ready = find(node, '.status.conditions[?(@.type=="Ready")].status')
    word = {"True": "Ready", "False": "NotReady"}.get(ready[0] if ready else "", "Unknown")
    return f"{word},SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else word


def node_address(node: Obj, kind: str) -> str:
    found = find(node, f'.status.addresses[?(@.type=="{kind}")].address')
    return found[0] if found else "<none>"


def event_last_seen(event: Obj) -> str:
    series = event.get("series") or {}
    return age(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event.get("firstTimestamp")
    )


def event_first_seen(event: Obj) -> str:
    return age(event.get("firstTimestamp") or event.get("eventTime"))


def event_object(event: Obj) -> str:
    about = event.get("involvedObject") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def event_source(event: Obj) -> str:
    source = event.get("source") or {}
    parts = [source.get("component") or event.get("reportingComponent"), source.get("host")]
    return ", ".join(part for part in parts if part)


def slice_ports(obj: Obj) -> str:
    ports = [str(port.get("port")) for port in obj.get("ports") or ()]
    return ",".join(ports) or "<unset>"


def slice_addresses(obj: Obj) -> str:
    addresses = [a for end in obj.get("endpoints") or () for a in end.get("addresses") or ()]
    more = f" + {len(addresses) - 3} more..." if len(addresses) > 3 else ""
    return ",".join(addresses[:3]) + more or "<unset>"


def role_ref(obj: Obj) -> str:
    ref = obj.get("roleRef") or {}
    return f"{ref.get('kind')}/{ref.get('name')}"


def quota(obj: Obj, *, limits: bool) -> str:
    """Used and allowed, as `requests.cpu: 1/2`."""
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    chosen = sorted(name for name in hard if name.startswith("limits.") is limits)
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in chosen)


def scale_target(obj: Obj) -> str:
    target = obj["spec"]["scaleTargetRef"]
    return f"{target['kind']}/{target['name']}"
