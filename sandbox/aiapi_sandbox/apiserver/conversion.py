"""Conversion between the storage version and the served version, where they differ."""

from __future__ import annotations

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.kinds.resources import EVENTS_V1, ApiResource

# events.k8s.io/v1 field -> core/v1 field of the same event.
_EVENT_FIELDS = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_FROM_CORE = {core: new for new, core in _EVENT_FIELDS.items()}


def to_served(resource: ApiResource, obj: Obj) -> Obj:
    """Convert a stored object to this resource's version."""
    if resource.storage is None:
        return obj
    if resource.gvr == EVENTS_V1:
        obj = {_FROM_CORE.get(name, name): value for name, value in obj.items()}
    return {**obj, "apiVersion": resource.gvr.api_version}


def to_storage(resource: ApiResource, obj: Obj) -> Obj:
    """Convert a client's object to the storage version."""
    if resource.storage is None:
        return obj
    if resource.gvr == EVENTS_V1:
        obj = {_EVENT_FIELDS.get(name, name): value for name, value in obj.items()}
    return {**obj, "apiVersion": resource.storage.api_version}
