"""What a request asks for: the collection or object in its path, and its options."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml
from aiohttp import web

from aiapi_sandbox.apimachinery.errors import (
    ApiError,
    FieldViolation,
    Obj,
    bad_request,
    invalid,
    not_implemented,
)
from aiapi_sandbox.apiserver.protobuf import MEDIA_TYPE, decode
from aiapi_sandbox.kinds.resources import ApiResource, GroupVersionResource, Registry

JSON = "application/json"
YAML = "application/yaml"
MAX_BODY = 3 * 1024 * 1024

# Parts of the real API that clients may ask for and the sandbox does not have.
_ABSENT = {
    "pods": {
        "attach",
        "binding",
        "ephemeralcontainers",
        "eviction",
        "exec",
        "portforward",
        "proxy",
    },
    "services": {"proxy"},
    "nodes": {"proxy"},
    "serviceaccounts": {"token"},
}


class NoSuchPathError(Exception):
    """Nothing is served there: the plain text answer, not a Status."""


@dataclass(frozen=True)
class RequestInfo:
    """The collection, object or subresource that a path names."""

    resource: ApiResource
    namespace: str
    name: str
    subresource: str | None

    @property
    def gvr(self) -> GroupVersionResource:
        return self.resource.gvr


@dataclass(frozen=True)
class RequestOptions:
    """The query of a request, parsed."""

    dry_run: bool = False
    field_manager: str = ""
    agent: str = "unknown"
    field_validation: str = "Warn"
    force: bool = False
    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    watch: bool = False
    resource_version: str = ""
    timeout_seconds: int = 0
    bookmarks: bool = False
    initial_events: bool = False
    include_object: str = "Metadata"

    @property
    def manager(self) -> str:
        """Who writes: what the client says, or the program it is."""
        return self.field_manager or self.agent


def parse_request_info(path: str, registry: Registry) -> RequestInfo:
    parts = [part for part in path.split("/") if part]
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise NoSuchPathError
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and (rest[2] not in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    resource = registry.get(GroupVersionResource(group, version, rest[0]))
    if resource is None or len(rest) > 3 or bool(namespace) > resource.namespaced:
        if len(rest) > 2 and rest[2] in _ABSENT.get(rest[0], ()):
            raise not_implemented(f"{rest[0]}/{rest[2]}")
        raise NoSuchPathError
    subresource = rest[2] if len(rest) > 2 else None
    if subresource and subresource not in resource.subresources:
        if subresource in _ABSENT.get(rest[0], ()):
            raise not_implemented(f"{rest[0]}/{subresource}")
        raise NoSuchPathError
    return RequestInfo(resource, namespace, rest[1] if len(rest) > 1 else "", subresource)


def _flag(query: dict[str, str], name: str) -> bool:
    return query.get(name, "no").lower() in ("1", "true", "t", "")


def number(query: dict[str, str], name: str) -> int:
    try:
        return int(query.get(name) or 0)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{query[name]}": invalid syntax') from None


def parse_options(request: web.Request) -> RequestOptions:
    query = dict(request.query)
    dry_run = request.query.getall("dryRun", [])
    if any(value != "All" for value in dry_run):
        error = FieldViolation(
            "FieldValueNotSupported", "dryRun", 'supported values: "All"', dry_run
        )
        raise invalid("meta.k8s.io", "CreateOptions", "", [error])
    agent = request.headers.get("User-Agent") or "unknown"
    return RequestOptions(
        dry_run=bool(dry_run),
        field_manager=query.get("fieldManager", ""),
        agent=agent.split("/")[0][:128],
        field_validation=query.get("fieldValidation") or "Warn",
        force=_flag(query, "force"),
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        limit=number(query, "limit"),
        continue_token=query.get("continue", ""),
        watch=_flag(query, "watch"),
        resource_version=query.get("resourceVersion", ""),
        timeout_seconds=number(query, "timeoutSeconds"),
        bookmarks=_flag(query, "allowWatchBookmarks"),
        initial_events=_flag(query, "sendInitialEvents"),
        include_object=query.get("includeObject") or "Metadata",
    )


def _json_error(text: str, error: json.JSONDecodeError) -> str:
    """The decoder's complaint in Go's words, as far as they are short."""
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
    """The body as JSON; YAML where its type says so."""
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
    """The body of a create or update, checked against the path."""
    resource = info.resource
    if isinstance(obj, dict) and not resource.custom:  # typed clients may leave these out
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
