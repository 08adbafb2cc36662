"""Request bodies: reading, decoding, and the check against the requested resource."""

from __future__ import annotations

import json
from typing import Any

import yaml
from aiohttp import web

from aiapi_sandbox.apimachinery.errors import ApiError, Obj, bad_request
from aiapi_sandbox.apiserver.protobuf import MEDIA_TYPE, decode
from aiapi_sandbox.apiserver.request_info import RequestInfo

JSON = "application/json"
MAX_BODY = 3 * 1024 * 1024
JSON_TYPE_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number"}


def _json_error(text: str, error: json.JSONDecodeError) -> str:
    """The JSON error in the words of Go's decoder, approximately."""
    if error.pos >= len(text):
        return "unexpected end of JSON input"
    where = "object key string" if "property name" in error.msg else "value"
    return f"invalid character '{text[error.pos]}' looking for beginning of {where}"


async def read_body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        message = f"Request entity too large: limit is {MAX_BODY}"
        raise ApiError(413, "RequestEntityTooLarge", message) from None


def parse_body(body: bytes, *, content_type: str, kind: str) -> Any:
    """Decode a body by its content type: protobuf, YAML or JSON."""
    if content_type == MEDIA_TYPE:
        return decode(body)
    try:
        text = body.decode()
        if "yaml" in content_type:
            return yaml.safe_load(text)
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind}): couldn't get "
            f"version/kind; json parse error: {_json_error(text, error)} ({text[:40]})"
        ) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise bad_request(f"error decoding {kind}: {error}") from None


def expect_kind(obj: Any, info: RequestInfo) -> Obj:
    """Check the object in a create or update against the path."""
    resource = info.resource
    if isinstance(obj, dict) and not resource.custom:  # typed clients may omit these
        for name, value in (("kind", resource.kind), ("apiVersion", resource.gvr.api_version)):
            obj[name] = obj.get(name) or value
    if not isinstance(obj, dict) or not obj.get("kind"):
        raise bad_request(f"Object 'Kind' is missing in '{json.dumps(obj)[:80]}'")
    if obj["kind"] != resource.kind or obj.get("apiVersion") != resource.gvr.api_version:
        raise bad_request(
            f'{resource.kind} in version "{resource.gvr.version}" cannot be handled as a '
            f"{resource.kind}: converting ({obj.get('apiVersion')}.{obj['kind']}) to "
            f"({resource.gvr.api_version}.{resource.kind}): unknown conversion"
        )
    meta = obj.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise bad_request("json: cannot unmarshal into Go struct field ObjectMeta.metadata")
    if resource.namespaced:
        if meta.setdefault("namespace", info.namespace) != info.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
    else:
        meta.pop("namespace", None)
    if info.name and meta.setdefault("name", info.name) != info.name:
        raise bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL "
            f"({info.name})"
        )
    return obj


def require_object(obj: Any) -> Obj:
    if not isinstance(obj, dict):
        raise bad_request(
            f"json: cannot unmarshal {JSON_TYPE_NAMES.get(type(obj), 'value')} into object"
        )
    return obj
