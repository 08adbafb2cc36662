"""The resource that a request's path names, and the options in its query."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from aiapi_sandbox.apimachinery.errors import (
    FieldViolation,
    bad_request,
    invalid,
    not_implemented,
)
from aiapi_sandbox.kinds.resources import ApiResource, GroupVersionResource, Registry

# Subresources of the real API that are not implemented: 501 instead of 404.
_NOT_IMPLEMENTED = {
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
    """Nothing is served at this path: a plain text 404, not a Status."""


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
    """The parsed query of a request."""

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
        """The field manager: the one in the query, else the client program's name."""
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
        if len(rest) > 2 and rest[2] in _NOT_IMPLEMENTED.get(rest[0], ()):
            raise not_implemented(f"{rest[0]}/{rest[2]}")
        raise NoSuchPathError
    subresource = rest[2] if len(rest) > 2 else None
    if subresource and subresource not in resource.subresources:
        if subresource in _NOT_IMPLEMENTED.get(rest[0], ()):
            raise not_implemented(f"{rest[0]}/{subresource}")
        raise NoSuchPathError
    return RequestInfo(resource, namespace, rest[1] if len(rest) > 1 else "", subresource)


def _flag(query: dict[str, str], name: str) -> bool:
    return query.get(name, "no").lower() in ("1", "true", "t", "")


def parse_number(query: dict[str, str], name: str) -> int:
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
        limit=parse_number(query, "limit"),
        continue_token=query.get("continue", ""),
        watch=_flag(query, "watch"),
        resource_version=query.get("resourceVersion", ""),
        timeout_seconds=parse_number(query, "timeoutSeconds"),
        bookmarks=_flag(query, "allowWatchBookmarks"),
        initial_events=_flag(query, "sendInitialEvents"),
        include_object=query.get("includeObject") or "Metadata",
    )
