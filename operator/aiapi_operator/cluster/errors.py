"""What can go wrong when talking to Kubernetes, in types that callers can tell apart.

The API server answers every refusal with a ``Status`` object. It is turned into one of these
here, so that nothing outside this room knows status codes or the client's exceptions.
"""
# ruff: noqa: N818 - these carry the names that Kubernetes gives its reasons

import json
from collections.abc import Mapping
from typing import Any

_TEXT_LIMIT = 500


class ClusterError(Exception):
    """A request that did not succeed. ``reason`` and ``message`` are the API server's own."""

    def __init__(self, message: str, *, reason: str = "", fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).__name__
        self.fields = fields
        """The fields that the API server blames, as in ``spec.template.spec``."""
        self.retry_after = 0.0
        """Seconds that the API server asks to wait before the next attempt."""


class NotFound(ClusterError):
    """404: the object, its namespace, or the whole resource is not there."""


class Conflict(ClusterError):
    """409: somebody else changed the object first, or it exists already."""


class Forbidden(ClusterError):
    """403: RBAC, a quota, an admission rule, or a node that cannot hold what was asked."""


class Unauthorized(ClusterError):
    """401: the credentials are not, or no longer, valid."""


class Invalid(ClusterError):
    """422 or 400: the object breaks a rule of its schema."""


class TooManyRequests(ClusterError):
    """429: the API server sheds load. It was retried until the deadline."""


class Unavailable(ClusterError):
    """The API server could not be reached, failed (5xx), or did not answer in time."""


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


def from_answer(status: int, headers: Mapping[str, str], body: bytes) -> ClusterError:
    """The error that an answer with this status and body stands for."""
    answer = _status_object(body)
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else ClusterError)
    message = answer.get("message") or body[:_TEXT_LIMIT].decode(errors="replace").strip()
    details = answer.get("details") or {}
    error = kind(
        message or f"HTTP {status}",
        reason=answer.get("reason") or "",
        fields=tuple(cause.get("field", "") for cause in details.get("causes") or ()),
    )
    error.retry_after = _seconds(headers.get("Retry-After") or details.get("retryAfterSeconds"))
    return error


def _seconds(told: object) -> float:
    try:
        return max(0.0, float(str(told)))
    except ValueError:
        return 0.0


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
