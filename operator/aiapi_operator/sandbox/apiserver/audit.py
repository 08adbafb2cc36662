"""Who asked for what: a line a request, in the form of Kubernetes' own audit log.

Only the fields that say who, what and how it ended (the level `Metadata`). A watch is written when
it begins, everything else when it is answered.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import web

from aiapi_operator.sandbox.errors import ApiError
from aiapi_operator.sandbox.resources import Registry
from aiapi_operator.sandbox.timestamps import format_micro_time

from .request import NoSuchPathError, Target, parse_path

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


class AuditLog:
    """Appends to a file. Whoever reads it sees each line at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1)

    def begun(self, request: web.Request, registry: Registry, user: str) -> None:
        """A request is about to be handled."""
        target = _target(request, registry)
        if _verb(request, target) == "watch":
            self._write(request, target, {"stage": "RequestReceived", "user": {"username": user}})

    def answered(self, request: web.Request, registry: Registry, user: str, code: int) -> None:
        """A request was answered, or refused."""
        target = _target(request, registry)
        if _verb(request, target) != "watch":
            ending = {"stage": "ResponseComplete", "responseStatus": {"code": code}}
            self._write(request, target, {"user": {"username": user}, **ending})

    def close(self) -> None:
        self._file.close()

    def _write(self, request: web.Request, target: Target | None, more: dict[str, Any]) -> None:
        event = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": str(uuid4()),
            "stageTimestamp": format_micro_time(datetime.now(UTC)),
            "requestURI": request.path_qs,
            "verb": _verb(request, target),
            "userAgent": request.headers.get("User-Agent", ""),
            **({"objectRef": _reference(target)} if target else {}),
            **more,
        }
        if not self._file.closed:  # a watch may end after the log
            self._file.write(json.dumps(event) + "\n")


def _target(request: web.Request, registry: Registry) -> Target | None:
    path = request.path.strip("/")
    try:
        return parse_path(path, registry) if path else None
    except (NoSuchPathError, ApiError):
        return None


def _verb(request: web.Request, target: Target | None) -> str:
    if target is None:
        return request.method.lower()
    if request.method == "DELETE":
        return "delete" if target.name else "deletecollection"
    if request.method != "GET":
        return _VERBS.get(request.method, request.method.lower())
    if request.query.get("watch", "no").lower() in {"1", "true", "t", ""}:
        return "watch"
    return "get" if target.name else "list"


def _reference(target: Target) -> dict[str, str]:
    reference = {
        "resource": target.key.plural,
        "namespace": target.namespace,
        "name": target.name,
        "apiGroup": target.key.group,
        "apiVersion": target.key.version,
        "subresource": target.subresource or "",
    }
    return {name: value for name, value in reference.items() if value}
