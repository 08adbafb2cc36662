"""Tables: the columns of `kubectl get`, printed by the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiapi_sandbox.apiserver import table_cells as cells
from aiapi_sandbox.errors import Obj
from aiapi_sandbox.kinds.ages import age
from aiapi_sandbox.kinds.columns import Column
from aiapi_sandbox.kinds.jsonpath import find
from aiapi_sandbox.kinds.resources import Resource


def _wide(name: str, cell: Callable[[Obj], Any], kind: str = "string") -> Column:
    return Column(name, cell, kind, priority=1)


def _name(obj: Obj) -> Any:
    return obj["metadata"]["name"]


def _age(obj: Obj) -> str:
    return age(obj["metadata"].get("creationTimestamp"))


_NAME = Column(
    "Name", _name, format="name", description="The object's name, unique in its namespace."
)
_AGE = Column("Age", _age, "date", description="Time since the object was created.")

_WORKLOAD_WIDE = (
    _wide("Containers", cells.containers),
    _wide("Images", cells.images),
    _wide("Selector", cells.selector),
)

_COLUMNS: dict[str, tuple[Column, ...]] = {
    "Pod": (
        _NAME,
        Column("Ready", cells.pod_ready),
        Column("Status", cells.pod_status),
        Column("Restarts", cells.pod_restarts),
        _AGE,
        _wide("IP", lambda pod: cells.text(pod, ".status.podIP")),
        _wide("Node", lambda pod: cells.text(pod, ".spec.nodeName")),
        _wide("Nominated Node", lambda pod: cells.text(pod, ".status.nominatedNodeName")),
        _wide("Readiness Gates", lambda _pod: "<none>"),
    ),
    "Deployment": (
        _NAME,
        Column("Ready", cells.deployment_ready),
        Column("Up-to-date", cells.number(".status.updatedReplicas"), "integer"),
        Column("Available", cells.number(".status.availableReplicas"), "integer"),
        _AGE,
        *_WORKLOAD_WIDE,
    ),
    "ReplicaSet": (
        _NAME,
        Column("Desired", cells.number(".spec.replicas"), "integer"),
        Column("Current", cells.number(".status.replicas"), "integer"),
        Column("Ready", cells.number(".status.readyReplicas"), "integer"),
        _AGE,
        *_WORKLOAD_WIDE,
    ),
    "Service": (
        _NAME,
        Column("Type", lambda obj: cells.text(obj, ".spec.type")),
        Column("Cluster-IP", lambda obj: cells.text(obj, ".spec.clusterIP")),
        Column("External-IP", lambda _obj: "<none>"),
        Column("Port(s)", cells.service_ports),
        _AGE,
        _wide("Selector", cells.selector),
    ),
    "Namespace": (_NAME, Column("Status", lambda obj: cells.text(obj, ".status.phase")), _AGE),
    "Node": (
        _NAME,
        Column("Status", cells.node_status),
        Column("Roles", lambda _obj: "<none>"),
        _AGE,
        Column("Version", lambda obj: cells.text(obj, ".status.nodeInfo.kubeletVersion")),
        _wide("Internal-IP", lambda obj: cells.node_address(obj, "InternalIP")),
        _wide("External-IP", lambda obj: cells.node_address(obj, "ExternalIP")),
        _wide("OS-Image", lambda obj: cells.text(obj, ".status.nodeInfo.osImage")),
        _wide("Kernel-Version", lambda obj: cells.text(obj, ".status.nodeInfo.kernelVersion")),
        _wide(
            "Container-Runtime",
            lambda obj: cells.text(obj, ".status.nodeInfo.containerRuntimeVersion"),
        ),
    ),
    "Event": (
        Column("Last Seen", cells.event_last_seen),
        Column("Type", lambda obj: cells.text(obj, ".type", "")),
        Column("Reason", lambda obj: cells.text(obj, ".reason", "")),
        Column("Object", cells.event_object),
        _wide("Subobject", lambda obj: cells.text(obj, ".involvedObject.fieldPath", "")),
        _wide("Source", cells.event_source),
        Column("Message", lambda obj: cells.text(obj, ".message", "").strip()),
        _wide("First Seen", cells.event_first_seen),
        _wide("Count", lambda obj: obj.get("count") or 1, "integer"),
        _wide("Name", _name),
    ),
    "Secret": (
        _NAME,
        Column("Type", lambda obj: cells.text(obj, ".type")),
        Column("Data", lambda obj: len(obj.get("data") or {}), "integer"),
        _AGE,
    ),
    "ConfigMap": (
        _NAME,
        Column(
            "Data",
            lambda obj: len(obj.get("data") or {}) + len(obj.get("binaryData") or {}),
            "integer",
        ),
        _AGE,
    ),
    "EndpointSlice": (
        _NAME,
        Column("AddressType", lambda obj: cells.text(obj, ".addressType")),
        Column("Ports", cells.slice_ports),
        Column("Endpoints", cells.slice_addresses),
        _AGE,
    ),
    "PodDisruptionBudget": (
        _NAME,
        Column("Min Available", lambda obj: cells.text(obj, ".spec.minAvailable", "N/A")),
        Column("Max Unavailable", lambda obj: cells.text(obj, ".spec.maxUnavailable", "N/A")),
        Column("Allowed Disruptions", cells.number(".status.disruptionsAllowed"), "integer"),
        _AGE,
    ),
    "NetworkPolicy": (
        _NAME,
        Column("Pod-Selector", lambda obj: cells.label_selector(obj["spec"].get("podSelector"))),
        _AGE,
    ),
    "Lease": (
        _NAME,
        Column("Holder", lambda obj: cells.text(obj, ".spec.holderIdentity", "")),
        _AGE,
    ),
    "RoleBinding": (_NAME, Column("Role", cells.role_ref), _AGE),
    "ClusterRoleBinding": (_NAME, Column("Role", cells.role_ref), _AGE),
    "Role": (_NAME, Column("Created At", cells.created)),
    "ClusterRole": (_NAME, Column("Created At", cells.created)),
    "CustomResourceDefinition": (_NAME, Column("Created At", cells.created)),
}


def custom_columns(declared: list[Obj] | None) -> tuple[Column, ...]:
    """The columns that a CRD version declares; Age alone where it declares none."""
    if not declared:
        return (_NAME, _AGE)
    return (_NAME, *(_declared(spec) for spec in declared))


def _declared(spec: Obj) -> Column:
    path, kind = spec["jsonPath"], spec["type"]

    def cell(obj: Obj) -> Any:
        found = find(obj, path)
        if not found or found[0] is None:
            return None
        value = found[0]
        if kind == "date":
            return age(value)
        if kind == "string" and not isinstance(value, str):
            return json.dumps(value, separators=(",", ":"))
        return value

    return Column(
        spec["name"],
        cell,
        kind,
        priority=spec.get("priority", 0),
        format=spec.get("format", ""),
        description=spec.get("description")
        or f"Custom resource definition column (in JSONPath format): {path}",
    )


def _columns(resource: Resource) -> tuple[Column, ...]:
    if resource.custom:
        return resource.columns
    return _COLUMNS.get(resource.kind, (_NAME, _AGE))


def column_definitions(resource: Resource) -> list[Obj]:
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description or column.name,
            "priority": column.priority,
        }
        for column in _columns(resource)
    ]


def row(resource: Resource, obj: Obj) -> list[Any]:
    return [column.cell(obj) for column in _columns(resource)]
