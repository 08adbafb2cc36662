"""Errors as problem details (RFC 9457): what went wrong, and what to do.

Each also has the member ``error`` of the OpenAI API, so that OpenAI clients show the message.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from aiapi_runtime.telemetry import shed
from aiapi_service.auth.errors import AuthError
from aiapi_service.gateway.disconnect import CLIENT_CLOSED_REQUEST
from aiapi_service.store.errors import StoreUnavailableError

logger = logging.getLogger("aiapi.gateway")

MEDIA_TYPE = "application/problem+json"
# Bounds quoted input, which may be megabytes.
_MAX_QUOTED = 200
# Problems that more workers or pods would solve. An upstream's refusal, a rate limit or a missing
# setting is not counted as shed demand.
_CAPACITY_KINDS = frozenset({"model-full"})
_IDENTIFIER = re.compile(r"(?!(str|int|float|bool|none)$)[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class FieldError:
    """One invalid field of a request."""

    field: str
    message: str


class ProblemError(Exception):
    """An error response. ``detail`` explains to the caller or the operator what to do."""

    def __init__(  # noqa: PLR0913 - the members of a problem, most of them by name
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = tuple(errors)
        self.extra = dict(extra or {})

    def body(self) -> dict[str, Any]:
        """The problem as JSON."""
        body: dict[str, Any] = {
            "type": f"urn:aiapi:problem:{self.kind}" if self.kind else "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [vars(one) for one in self.errors]
        body["error"] = {
            "message": self.detail,
            "type": _openai_type(self.status),
            "param": self.errors[0].field if self.errors else None,
            "code": self.kind.replace("-", "_") or None,
        }
        return body | self.extra


def _openai_type(status: int) -> str:
    by_status = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
    }
    return by_status.get(status, "server_error" if status >= 500 else "invalid_request_error")


def render(problem: ProblemError) -> Response:
    """The response for a problem."""
    return JSONResponse(
        problem.body(),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def validation_problem(errors: Iterable[Mapping[str, Any]]) -> ProblemError:
    """A problem from pydantic's errors, by field."""
    # Each member of a union may report the same error: drop duplicates.
    found = list(
        dict.fromkeys(
            FieldError(_field(one["loc"]), str(one["msg"])[:_MAX_QUOTED]) for one in errors
        )
    )
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return ProblemError(
        422,
        "invalid-request",
        "The request is not valid",
        f"{first.field or 'body'}: {first.message}{more}",
        errors=found[:20],
    )


def _field(location: Sequence[str | int]) -> str:
    """A pydantic location as a path such as ``messages[0].role``."""
    text = ""
    for part in location:
        if part == "body" or (isinstance(part, str) and not _IDENTIFIER.fullmatch(part)):
            # Not an identifier: pydantic's name for a member of a union.
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")[:_MAX_QUOTED]


class _ProblemErrorItem(BaseModel):
    field: str
    message: str


class _OpenAIError(BaseModel):
    model_config = ConfigDict(extra="allow")

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class Problem(BaseModel):
    """Problem details (RFC 9457), with the error object of the OpenAI API."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:aiapi:problem:no-upstream"])
    title: str
    status: int
    detail: str
    errors: list[_ProblemErrorItem] = []
    error: _OpenAIError


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that returns problem details with these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this type alone
    if error.kind in _CAPACITY_KINDS:
        shed()
    return render(error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type alone
    title = HTTPStatus(error.status_code).phrase
    detail = f"{request.method} {request.url.path[:_MAX_QUOTED]}: {error.detail}"
    return render(ProblemError(error.status_code, "", title, detail, headers=error.headers))


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type alone
    return render(validation_problem(error.errors()))


async def _on_auth_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AuthError)  # noqa: S101 - registered for this type alone
    # Only a full hashing queue is shed demand; rate limits and settings are not.
    if error.kind == "auth-busy":
        shed()
    return render(
        ProblemError(
            error.status,
            error.kind,
            error.title,
            error.detail,
            headers=error.headers,
            extra=error.extra,
        )
    )


async def _on_store_unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailableError)  # noqa: S101 - registered for this type alone
    # The reason may contain host and user names, so it goes to the log only.
    logger.warning("%s %s: %s", request.method, request.url.path[:_MAX_QUOTED], error)
    detail = "The database is not available. Send the request again; it is safe to repeat."
    headers = {"Retry-After": str(error.retry_after)}
    return render(
        ProblemError(
            503, "store-unavailable", "The database is not available", detail, headers=headers
        )
    )


async def _on_disconnect(_request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler
    """The client disconnected while sending its body."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def internal_error(method: str, path: str, error: Exception) -> Response:
    """The response for an unexpected error. The log has the traceback."""
    logger.error("%s %s failed", method, path[:_MAX_QUOTED], exc_info=error)
    detail = "This is a bug in the gateway. See its log for the traceback."
    return render(ProblemError(500, "internal", "Internal Server Error", detail))


def install(app: FastAPI) -> None:
    """Register exception handlers that return problem details."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(AuthError, _on_auth_error)
    app.add_exception_handler(StoreUnavailableError, _on_store_unavailable)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
