"""The table convertor: server-side printing for `kubectl get`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiapi_sandbox.apimachinery.durations import age
from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.jsonpath import find
from aiapi_sandbox.apiserver import table_cells as cells
from aiapi_sandbox.kinds.resources import ApiResource
from aiapi_sandbox.kinds.table_column import TableColumn


def _wide(name: str, cell: Callable[[Obj], Any], kind: str = "string") -> TableColumn:
    return TableColumn(name, cell, kind, priority=1)


def _name(obj: Obj) -> Any:
    return obj["metadata"]["name"]


def _age(obj: Obj) -> str:
    return age(obj["metadata"].get("creationTimestamp"))


_NAME = TableColumn(
    "Name", _name, format="name", description="The object's name, unique in its namespace."
)
_AGE = TableColumn("Age", _age, "date", description="Time since the object was created.")

_WORKLOAD_WIDE = (
    _wide("Containers", cells.containers),
    _wide("Images", cells.images),
    _wide("Selector", cells.selector),
)

_COLUMNS: dict[str, tuple[TableColumn, ...]] = {
    "Pod": (
        _NAME,
        TableColumn("Ready", cells.pod_ready),
        TableColumn("Status", cells.pod_status),
        TableColumn("Restarts", cells.pod_restarts),
        _AGE,
        _wide("IP", lambda pod: cells.text(pod, ".status.podIP")),
        _wide("Node", lambda pod: cells.text(pod, ".spec.nodeName")),
        _wide("Nominated Node", lambda pod: cells.text(pod, ".status.nominatedNodeName")),
        _wide("Readiness Gates", lambda _pod: "<none>"),
    ),
    "Deployment": (
        _NAME,
        TableColumn("Ready", cells.deployment_ready),
        TableColumn("Up-to-date", cells.number(".status.updatedReplicas"), "integer"),
        TableColumn("Available", cells.number(".status.availableReplicas"), "integer"),
        _AGE,
        *_WORKLOAD_WIDE,
    ),
    "ReplicaSet": (
        _NAME,
        TableColumn("Desired", cells.number(".spec.replicas"), "integer"),
        TableColumn("Current", cells.number(".status.replicas"), "integer"),
        TableColumn("Ready", cells.number(".status.readyReplicas"), "integer"),
        _AGE,
        *_WORKLOAD_WIDE,
    ),
    "Service": (
        _NAME,
        TableColumn("Type", lambda obj: cells.text(obj, ".spec.type")),
        TableColumn("Cluster-IP", lambda obj: cells.text(obj, ".spec.clusterIP")),
        TableColumn("External-IP", lambda _obj: "<none>"),
        TableColumn("Port(s)", cells.service_ports),
        _AGE,
        _wide("Selector", cells.selector),
    ),
    "Namespace": (_NAME, TableColumn("Status", lambda obj: cells.text(obj, ".status.phase")), _AGE),
    "Node": (
        _NAME,
        TableColumn("Status", cells.node_status),
        TableColumn("Roles", lambda _obj: "<none>"),
        _AGE,
        TableColumn("Version", lambda obj: cells.text(obj, ".status.nodeInfo.kubeletVersion")),
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
        TableColumn("Last Seen", cells.event_last_seen),
        TableColumn("Type", lambda obj: cells.text(obj, ".type", "")),
        TableColumn("Reason", lambda obj: cells.text(obj, ".reason", "")),
        TableColumn("Object", cells.event_object),
        _wide("Subobject", lambda obj: cells.text(obj, ".involvedObject.fieldPath", "")),
        _wide("Source", cells.event_source),
        TableColumn("Message", lambda obj: cells.text(obj, ".message", "").strip()),
        _wide("First Seen", cells.event_first_seen),
        _wide("Count", lambda obj: obj.get("count") or 1, "integer"),
        _wide("Name", _name),
    ),
    "Secret": (
        _NAME,
        TableColumn("Type", lambda obj: cells.text(obj, ".type")),
        TableColumn("Data", lambda obj: len(obj.get("data") or {}), "integer"),
        _AGE,
    ),
    "ConfigMap": (
        _NAME,
        TableColumn(
            "Data",
            lambda obj: len(obj.get("data") or {}) + len(obj.get("binaryData") or {}),
            "integer",
        ),
        _AGE,
    ),
    "EndpointSlice": (
        _NAME,
        TableColumn("AddressType", lambda obj: cells.text(obj, ".addressType")),
        TableColumn("Ports", cells.slice_ports),
        TableColumn("Endpoints", cells.slice_addresses),
        _AGE,
    ),
    "PodDisruptionBudget": (
        _NAME,
        TableColumn("Min Available", lambda obj: cells.text(obj, ".spec.minAvailable", "N/A")),
        TableColumn("Max Unavailable", lambda obj: cells.text(obj, ".spec.maxUnavailable", "N/A")),
        TableColumn("Allowed Disruptions", cells.number(".status.disruptionsAllowed"), "integer"),
        _AGE,
    ),
    "NetworkPolicy": (
        _NAME,
        TableColumn(
            "Pod-Selector", lambda obj: cells.label_selector(obj["spec"].get("podSelector"))
        ),
        _AGE,
    ),
    "ResourceQuota": (
        _NAME,
        TableColumn("Request", lambda obj: cells.quota(obj, limits=False)),
        TableColumn("Limit", lambda obj: cells.quota(obj, limits=True)),
        _AGE,
    ),
    "HorizontalPodAutoscaler": (
        _NAME,
        TableColumn("Reference", cells.scale_target),
        TableColumn("MinPods", lambda obj: cells.text(obj, ".spec.minReplicas")),
        TableColumn("MaxPods", cells.number(".spec.maxReplicas"), "integer"),
        TableColumn("Replicas", cells.number(".status.currentReplicas"), "integer"),
        _AGE,
    ),
    "LimitRange": (_NAME, TableColumn("Created At", cells.created)),
    "Lease": (
        _NAME,
        TableColumn("Holder", lambda obj: cells.text(obj, ".spec.holderIdentity", "")),
        _AGE,
    ),
    "RoleBinding": (_NAME, TableColumn("Role", cells.role_ref), _AGE),
    "ClusterRoleBinding": (_NAME, TableColumn("Role", cells.role_ref), _AGE),
    "Role": (_NAME, TableColumn("Created At", cells.created)),
    "ClusterRole": (_NAME, TableColumn("Created At", cells.created)),
    "CustomResourceDefinition": (_NAME, TableColumn("Created At", cells.created)),
}


def custom_columns(declared: list[Obj] | None) -> tuple[TableColumn, ...]:
    """The printer columns of a CRD version; Name and Age when it declares none."""
    if not declared:
        return (_NAME, _AGE)
    return (_NAME, *(_declared(spec) for spec in declared))


def _declared(spec: Obj) -> TableColumn:
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

    return TableColumn(
        spec["name"],
        cell,
        kind,
        priority=spec.get("priority", 0),
        format=spec.get("format", ""),
        description=spec.get("description")
        or f"Custom resource definition column (in JSONPath format): {path}",
    )


def _columns(resource: ApiResource) -> tuple[TableColumn, ...]:
    if resource.custom:
        return resource.columns
    return _COLUMNS.get(resource.kind, (_NAME, _AGE))


def column_definitions(resource: ApiResource) -> list[Obj]:
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


def row(resource: ApiResource, obj: Obj) -> list[Any]:
    return [column.cell(obj) for column in _columns(resource)]
