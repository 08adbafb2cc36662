"""OpenAPI v3: one document per group version, for `kubectl explain` and `kubectl apply`."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.json_copy import copy_json
from aiapi_sandbox.apiserver import openapi_v2
from aiapi_sandbox.apiserver.request_info import NoSuchPathError
from aiapi_sandbox.apiserver.response import encode
from aiapi_sandbox.kinds.resources import ApiResource, Registry
from aiapi_sandbox.kinds.type_schema import TypeSchema, builtin_type, builtin_types

_SCALARS: dict[str, Obj] = {
    "str": {"type": "string"},
    "int": {"type": "integer", "format": "int32"},
    "float": {"type": "number", "format": "double"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "time": {"type": "string", "format": "date-time"},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "intstr": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    "any": {"type": "object"},
}
_QUERY = ("dryRun", "fieldManager", "fieldValidation")
_PATCHES = ("json-patch+json", "merge-patch+json", "apply-patch+yaml")
_TYPE_META = {
    "apiVersion": {"type": "string", "description": "The version of the schema of this object."},
    "kind": {"type": "string", "description": "The kind of this object."},
}


def _ref(name: str) -> Obj:
    return {"$ref": f"#/components/schemas/{name}"}


def _builtin_field(type_schema: TypeSchema) -> Obj:
    if type_schema.kind == "object" or type_schema.type == "JSONSchemaProps":
        return {"allOf": [_ref(type_schema.type)], "default": {}}
    if type_schema.kind == "list":
        field: Obj = {"type": "array", "items": _builtin_field(type_schema.item)}
        how = "set" if type_schema.is_set else "map" if type_schema.keys else "atomic"
        field["x-kubernetes-list-type"] = how
        if type_schema.keys:
            field["x-kubernetes-list-map-keys"] = list(type_schema.keys)
        if type_schema.patch_merge_key:
            field["x-kubernetes-patch-merge-key"] = type_schema.patch_merge_key
        if type_schema.patch_merge_key or type_schema.is_set:
            field["x-kubernetes-patch-strategy"] = "merge"
        return field
    if type_schema.kind == "map":
        field = {"type": "object", "additionalProperties": _builtin_field(type_schema.item)}
        return field | ({"x-kubernetes-map-type": "atomic"} if type_schema.atomic else {})
    return dict(_SCALARS[type_schema.type])


def _builtin_schema(name: str) -> Obj:
    if name == "JSONSchemaProps":
        return {"type": "object"}
    type_schema = builtin_type(name)
    schema: Obj = {
        "type": "object",
        "properties": {field: _builtin_field(part) for field, part in type_schema.fields().items()},
    }
    required = [field for field, (_, needed) in builtin_types()[name][1].items() if needed]
    if required:
        schema["required"] = required
    if type_schema.atomic:
        schema["x-kubernetes-map-type"] = "atomic"
    return schema


def _gvk(resource: ApiResource) -> Obj:
    gvr = resource.gvr
    return {"group": gvr.group, "version": gvr.version, "kind": resource.kind}


def _schema_name(resource: ApiResource) -> str:
    """Built-in types have their bare name; custom ones are named by group, version and kind."""
    gvr = resource.gvr
    if resource.custom:
        return ".".join([*reversed(gvr.group.split(".")), gvr.version, resource.kind])
    return "EventsEvent" if gvr.group == "events.k8s.io" else resource.kind


def _resource_schema(resource: ApiResource) -> Obj:
    if resource.schema is None:
        schema = _builtin_schema(_schema_name(resource))
    else:
        schema = {"type": "object", **copy_json(resource.schema)}
        meta = {"allOf": [_ref("ObjectMeta")], "default": {}}
        own = schema.get("properties") or {}
        schema["properties"] = {**own, **_TYPE_META, "metadata": meta}
    return {**schema, "x-kubernetes-group-version-kind": [_gvk(resource)]}


def _operation(resource: ApiResource, action: str) -> Obj:
    content = {"application/json": {"schema": _ref(_schema_name(resource))}}
    operation: Obj = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(resource),
        "responses": {"200": {"description": "OK", "content": content}},
    }
    if action in ("post", "put", "patch"):
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for name in _QUERY
        ]
        operation["requestBody"] = {"content": content}
    if action == "patch":
        kinds = _PATCHES if resource.custom else (*_PATCHES, "strategic-merge-patch+json")
        operation["requestBody"] = {
            "content": {f"application/{kind}": {"schema": {"type": "object"}} for kind in kinds}
        }
    return operation


def _paths(resource: ApiResource) -> Obj:
    gvr = resource.gvr
    root = f"/apis/{gvr.group}/{gvr.version}" if gvr.group else f"/api/{gvr.version}"
    place = "/namespaces/{namespace}" if resource.namespaced else ""
    many, one = f"{root}{place}/{gvr.plural}", f"{root}{place}/{gvr.plural}/{{name}}"
    actions = {"get": "get", "put": "put", "patch": "patch", "delete": "delete"}
    return {
        many: {
            "get": _operation(resource, "list"),
            "post": _operation(resource, "post"),
        },
        one: {method: _operation(resource, action) for method, action in actions.items()},
    }


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_references, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"].rsplit("/", 1)[1]} if isinstance(schema.get("$ref"), str) else set()
    return own.union(*map(_references, schema.values()))


def document(registry: Registry, group: str, version: str) -> Obj:
    """The document of a group version: its paths and all referenced types."""
    paths: Obj = {}
    schemas: Obj = {}
    for resource in registry:
        if (resource.gvr.group, resource.gvr.version) == (group, version):
            paths |= _paths(resource)
            schemas[_schema_name(resource)] = _resource_schema(resource)
    missing = _references(schemas) - schemas.keys()
    while missing:
        for name in missing:
            schemas[name] = _builtin_schema(name)
        missing = _references(schemas) - schemas.keys()
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2+sandbox"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


class OpenApiService:
    """Builds documents on demand and caches them until a CRD changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._cached_generation = -1
        self._documents: dict[str, bytes] = {}

    def respond(self, request: web.Request) -> web.Response:
        if self._cached_generation != self._registry.generation:
            self._cached_generation, self._documents = self._registry.generation, {}
        if request.path == "/openapi/v2":
            body = openapi_v2.document()
            return web.Response(body=body, headers={"Content-Type": openapi_v2.CONTENT_TYPE})
        path = request.path.rstrip("/").removeprefix("/openapi/v3")
        if request.path.startswith("/openapi/v3") and not path:
            body = encode({"paths": {name: self._link(name) for name in self._names()}})
        elif path.strip("/") in self._names():
            body = self._document(path.strip("/"))
        else:
            raise NoSuchPathError
        return web.Response(body=body, content_type="application/json")

    def _names(self) -> list[str]:
        gvrs = {resource.gvr for resource in self._registry}
        return sorted(
            {f"apis/{gvr.group}/{gvr.version}" if gvr.group else "api/v1" for gvr in gvrs}
        )

    def _link(self, name: str) -> Obj:
        digest = hashlib.sha256(self._document(name)).hexdigest()[:32].upper()
        return {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"}

    def _document(self, name: str) -> bytes:
        if name not in self._documents:
            found = re.fullmatch(r"apis/([^/]+)/([^/]+)|api/(v1)", name)
            group, version = (found[1] or "", found[2] or found[3]) if found else ("", "")
            self._documents[name] = encode(document(self._registry, group, version))
        return self._documents[name]
