"""The `scale` subresource: the replicas of any kind, as an autoscaling/v1 Scale."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj, bad_request, invalid
from aiapi_sandbox.apimachinery.json_copy import copy_json
from aiapi_sandbox.apimachinery.selectors import format_selector
from aiapi_sandbox.apiserver.managed_fields import FieldManager, UpdateTracker
from aiapi_sandbox.apiserver.patches import json_patch, merge_patch
from aiapi_sandbox.apiserver.request_body import parse_body
from aiapi_sandbox.apiserver.request_info import RequestInfo, RequestOptions
from aiapi_sandbox.apiserver.response import json_response
from aiapi_sandbox.kinds.resources import ApiResource
from aiapi_sandbox.storage.store import Store

_BUILTIN_PATHS = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


def scale_paths(resource: ApiResource) -> Obj:
    """Where a kind with a scale subresource has its replicas."""
    return resource.scale_paths or _BUILTIN_PATHS


def read_path(obj: Any, path: str) -> Any:
    for name in path.strip(".").split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def set_path(obj: Obj, path: str, value: Any) -> None:
    *parents, last = path.strip(".").split(".")
    for name in parents:
        obj = obj.setdefault(name, {})
    obj[last] = value


def scale_of(info: RequestInfo, obj: Obj) -> Obj:
    meta, paths = obj["metadata"], scale_paths(info.resource)
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": read_path(obj, paths["statusReplicasPath"]) or 0}
    if selector := _selector(info, obj):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"replicas": read_path(obj, paths["specReplicasPath"]) or 0},
        "status": status,
    }


def _selector(info: RequestInfo, obj: Obj) -> str:
    if not info.resource.custom:
        return format_selector(obj["spec"].get("selector"))
    path = scale_paths(info.resource).get("labelSelectorPath")
    return str(read_path(obj, path) or "") if path else ""


def get_scale(store: Store, info: RequestInfo) -> web.Response:
    obj = store.peek(info.gvr, info.namespace, info.name)
    return json_response(scale_of(info, obj))


def put_scale(
    store: Store, info: RequestInfo, options: RequestOptions, *, body: bytes, content_type: str
) -> web.Response:
    """Replace or patch. All merge-like patch types are the same, because there is one field."""
    obj = store.get(info.gvr, info.namespace, info.name)
    old = scale_of(info, obj)
    body_value = parse_body(body, content_type=content_type, kind="Scale")
    if "json-patch" in content_type:
        new = json_patch(old, body_value)
    elif "patch" in content_type:
        new = merge_patch(old, body_value)
    else:
        new = body_value
    replicas = new.get("spec", {}).get("replicas", 0) if isinstance(new, dict) else None
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise bad_request("json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas")
    if replicas < 0:
        detail = "must be greater than or equal to 0"
        error = FieldViolation("FieldValueInvalid", "spec.replicas", detail, replicas)
        raise invalid("autoscaling", "Scale", info.name, [error])
    changed: Obj = copy_json(obj)
    set_path(changed, scale_paths(info.resource)["specReplicasPath"], replicas)
    if version := new.get("metadata", {}).get("resourceVersion"):
        changed["metadata"]["resourceVersion"] = version
    result = store.update(
        info.gvr,
        changed,
        dry_run=options.dry_run,
        track=_tracker(store, replace(info, subresource="scale"), options).track,
    )
    return json_response(scale_of(info, result))


def _tracker(store: Store, info: RequestInfo, options: RequestOptions) -> UpdateTracker:
    resource = info.resource
    manager = FieldManager("Update", options.manager, resource.storage_gvr.api_version, "scale")
    return UpdateTracker(
        manager,
        resource.storage_schema,
        store.now(),
        custom=resource.custom,
        has_status_subresource=True,
    )
