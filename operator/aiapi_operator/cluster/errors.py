"""Errors of the Kubernetes API, one type per kind.

The API server rejects a request with a ``Status`` object. It is converted here, so that no other
package handles status codes or exceptions of the client.
"""
# ruff: noqa: N818 - the names are the reasons of the Kubernetes API

import json
from collections.abc import Mapping
from typing import Any

_TEXT_LIMIT = 500


class ClusterError(Exception):
    """A failed request. ``reason`` and ``message`` come from the API server."""

    def __init__(self, message: str, *, reason: str = "", fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).__name__
        self.fields = fields
        """The invalid fields, such as ``spec.template.spec``."""
        self.retry_after = 0.0
        """Seconds to wait before the next attempt, as requested by the API server."""


class NotFound(ClusterError):
    """404: the object, its namespace, or the resource does not exist."""


class Conflict(ClusterError):
    """409: the object was changed by another client, or already exists."""


class Forbidden(ClusterError):
    """403: RBAC, a quota, an admission rule, or a node without room."""


class Unauthorized(ClusterError):
    """401: the credentials are invalid or expired."""


class Invalid(ClusterError):
    """422 or 400: the object violates its schema. For a server-side apply also some 500."""


class TooManyRequests(ClusterError):
    """429: the API server sheds load. Retried until the deadline."""


class Unavailable(ClusterError):
    """The API server cannot be reached, failed (5xx), or did not answer in time."""


class Untrusted(Unavailable):
    """The API server's certificate was not issued by the configured CA, or for this address."""


_BY_STATUS: Mapping[int, type[ClusterError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    415: Invalid,
    422: Invalid,
    429: TooManyRequests,
}


_REFUSED_PATCH = ("failed to create typed patch object", "failed to convert new object")
"""How messages of status 500 begin that are about the patch and not about the API server: unknown
fields, wrong types and duplicates in a server-side apply."""


def from_answer(status: int, headers: Mapping[str, str], body: bytes) -> ClusterError:
    """The error for an answer with this status and body."""
    answer = _status_object(body)
    message = answer.get("message") or body[:_TEXT_LIMIT].decode(errors="replace").strip()
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else ClusterError)
    if status == 500 and message.startswith(_REFUSED_PATCH):
        kind = Invalid
    details = answer.get("details") or {}
    error = kind(
        message or f"HTTP {status}",
        reason=answer.get("reason") or "",
        fields=tuple(cause.get("field", "") for cause in details.get("causes") or ()),
    )
    error.retry_after = _seconds(headers.get("Retry-After") or details.get("retryAfterSeconds"))
    return error


def _seconds(value: object) -> float:
    try:
        return max(0.0, float(str(value)))
    except ValueError:
        return 0.0


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
