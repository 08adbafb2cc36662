"""Errors as problem details (RFC 9457): what went wrong, and the way out."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


class ProblemError(Exception):
    """An error to answer with. ``detail`` tells the caller or the operator what to do."""

    def __init__(self, status: int, kind: str, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail


def render(
    status: int,
    *,
    title: str,
    detail: str,
    kind: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response for a problem. Without a kind, the status says it all (``about:blank``)."""
    return JSONResponse(
        {
            "type": f"urn:aiapi:problem:{kind}" if kind else "about:blank",
            "title": title,
            "status": status,
            "detail": detail,
        },
        status_code=status,
        media_type="application/problem+json",
        headers=dict(headers or {}),
    )


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this type alone
    return render(error.status, kind=error.kind, title=error.title, detail=error.detail)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type alone
    title = HTTPStatus(error.status_code).phrase
    detail = f"{request.method} {request.url.path}: {error.detail}"
    return render(error.status_code, title=title, detail=detail, headers=error.headers)


def install(app: FastAPI) -> None:
    """Make an app answer its errors as problem details."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_error)
