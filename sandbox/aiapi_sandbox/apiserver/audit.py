"""The audit log: one line per request, in the format of Kubernetes' audit events.

Events have the level `Metadata`. A watch is logged when it starts, every other request when it is
complete. The object reference comes from the path alone, as in a real API server, so requests for
resources that are not served are logged too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import web

from aiapi_sandbox.apimachinery.timestamps import format_micro_time

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True)
class _ObjectReference:
    """The resource in a path. Fields that the path does not name are empty."""

    resource: str
    namespace: str = ""
    name: str = ""
    api_group: str = ""
    api_version: str = ""
    subresource: str = ""

    def to_api(self) -> dict[str, str]:
        fields = {
            "resource": self.resource,
            "namespace": self.namespace,
            "name": self.name,
            "apiGroup": self.api_group,
            "apiVersion": self.api_version,
            "subresource": self.subresource,
        }
        return {name: value for name, value in fields.items() if value}


class AuditLog:
    """Appends to a line-buffered file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1)

    def request_received(self, request: web.Request, user: str) -> None:
        """Log a watch when it starts."""
        if _verb(request, _reference(request.path)) == "watch":
            self._write(request, user, {"stage": "RequestReceived"})

    def response_complete(self, request: web.Request, user: str, code: int) -> None:
        """Log any other request when it is complete."""
        if _verb(request, _reference(request.path)) != "watch":
            outcome = {"stage": "ResponseComplete", "responseStatus": {"code": code}}
            self._write(request, user, outcome)

    def close(self) -> None:
        self._file.close()

    def _write(self, request: web.Request, user: str, extra: dict[str, Any]) -> None:
        reference = _reference(request.path)
        event = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": str(uuid4()),
            "stageTimestamp": format_micro_time(datetime.now(UTC)),
            "requestURI": request.path_qs,
            "verb": _verb(request, reference),
            "user": {"username": user},
            "userAgent": request.headers.get("User-Agent", ""),
            **({"objectRef": reference.to_api()} if reference else {}),
            **extra,
        }
        if not self._file.closed:  # a request may outlive the log
            self._file.write(json.dumps(event) + "\n")


def _reference(path: str) -> _ObjectReference | None:
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = (*rest, "", "")[:3]
    return _ObjectReference(resource, namespace, name, group, version, subresource)


def _verb(request: web.Request, reference: _ObjectReference | None) -> str:
    if reference is None:
        return request.method.lower()
    if request.method == "DELETE":
        return "delete" if reference.name else "deletecollection"
    if request.method != "GET":
        return _VERBS.get(request.method, request.method.lower())
    if request.query.get("watch", "no").lower() in {"1", "true", "t", ""}:
        return "watch"
    return "get" if reference.name else "list"
