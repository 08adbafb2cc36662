"""Classifies error responses of an upstream: the caller's fault, or a failure to retry."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx

from aiapi_service.gateway.problems import FieldError, ProblemError
from aiapi_service.gateway.upstreams import backoff, failures, lenient_json
from aiapi_service.gateway.upstreams.failures import FailedAttempt
from aiapi_service.gateway.upstreams.response import UpstreamResponse
from aiapi_service.gateway.upstreams.settings import Kind
from aiapi_service.gateway.upstreams.target import UpstreamTarget

_MAX_BYTES = 65536
_MAX_TEXT = 2000
_TIMEOUT_SECONDS = 5.0
# Messages of llama.cpp with status 500 that are not a fault of the server.
_NO_IMAGES = "image input is not supported"
_CONTEXT_FULL = "Context size has been exceeded"
_CONTEXT_FULL_RETRY_SECONDS = 5


async def classify(answer: UpstreamResponse, today: datetime, *, adds_usage: bool) -> FailedAttempt:
    """The failure of a response; raises a problem when the caller is at fault."""
    status = answer.head.status
    name = answer.target.name
    wait = backoff.retry_after(
        answer.head.header(b"retry-after"), answer.head.header(b"retry-after-ms"), today
    )
    error = await _read(answer)
    if status in (401, 403):
        # The gateway's key was refused, not the caller's. The message may quote it.
        text = f"{name} refused the gateway's key ({status}). Check AIAPI_UPSTREAM_API_KEY."
        problem = ProblemError(502, "upstream-refused-key", "The upstream refused the key", text)
        return FailedAttempt(problem, retry_safe=True, trips_breaker=False)
    if status in (429, 503):
        return FailedAttempt(
            _pass_through(status, error, wait),
            retry_safe=True,
            trips_breaker=status == 503,
            retry_after=wait,
        )
    if status >= 500 and answer.target.start_timeout:
        return _from_local_model(status, error)
    if status >= 500:
        text = f"{name} returned {status}: {_message(error)}"
        problem = ProblemError(502, "upstream-error", "The upstream failed", text)
        return FailedAttempt(problem, retry_safe=False)
    if status == 404 and _is_model_not_found(error):
        problem = _pass_through(status, error, None)
        return FailedAttempt(problem, retry_safe=True, trips_breaker=False, lacks_model=True)
    if status in (400, 422) and adds_usage and "stream_options" in str(error):
        problem = _pass_through(status, error, None)
        return FailedAttempt(problem, retry_safe=True, trips_breaker=False, rejects_usage=True)
    if status >= 400:
        raise _pass_through(status, error, None)
    raise failures.broken(f"{name} returned {status}")


def _from_local_model(status: int, body: Any) -> FailedAttempt:
    """An error of the local model. It never opens the circuit breaker for other callers."""
    message = _message(body)
    if _NO_IMAGES in message:
        raise _pass_through(400, body, None)
    if _CONTEXT_FULL in message:
        text = "The context of the local model is full. Retry, or send a shorter prompt."
        headers = {"Retry-After": str(_CONTEXT_FULL_RETRY_SECONDS)}
        problem = ProblemError(
            503, "model-full", "The context of the model is full", text, headers=headers
        )
    else:
        text = f"The local model returned {status}: {message}"
        problem = ProblemError(502, "upstream-error", "The upstream failed", text)
    return FailedAttempt(problem, retry_safe=False, trips_breaker=False)


def _is_model_not_found(body: Any) -> bool:
    """Checks OpenAI's error code, and the message for vLLM and Ollama, which have no code."""
    error = _error(body)
    if isinstance(error, dict) and error.get("code") == "model_not_found":
        return True
    return "model" in _message(body).lower()


async def _read(answer: UpstreamResponse) -> Any:
    """The error body of the upstream, within limits; None when it is not JSON."""
    body = bytearray()
    try:
        with suppress(httpx.HTTPError, ProblemError, TimeoutError):
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                async for piece in answer.pieces():
                    body += piece
                    if len(body) > _MAX_BYTES:
                        return None
        return lenient_json.load(bytes(body))
    except ValueError:
        return None
    finally:
        await answer.close()


def _message(body: Any) -> str:
    """The message of an error body, in any of the usual formats."""
    error = _error(body)
    text = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    if isinstance(text, dict):
        text = text.get("detail")
    if isinstance(text, list) and text:
        text = _field_message(text[0])
    return text[:_MAX_TEXT] if isinstance(text, str) and text else "no reason given"


def _error(body: Any) -> Any:
    """The error object of a body. Gemini wraps the body in a list."""
    if isinstance(body, list) and body:
        body = body[0]
    return body.get("error", body) if isinstance(body, dict) else body


def _field_message(error: Any) -> Any:
    """An error of FastAPI or pydantic (Mistral, vLLM), with its field."""
    if not isinstance(error, dict):
        return None
    place = error.get("loc")
    parts = [str(part) for part in place if part != "body"] if isinstance(place, list) else []
    return f"{'.'.join(parts)}: {error.get('msg')}" if parts else error.get("msg")


def _pass_through(status: int, body: Any, wait: float | None) -> ProblemError:
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "The upstream refused the request"
    problem = ProblemError(status, "upstream-refused", title, _message(body))
    if wait is not None:
        problem.headers.update(backoff.retry_headers(wait))
    error = _error(body)
    if isinstance(error, dict) and error is not body:
        ours = problem.body()["error"]
        kept = {
            name: value
            for name, value in error.items()
            if name not in ("message", "type") or isinstance(value, str)
        }
        problem.extra["error"] = ours | kept
    return problem


def unknown_model(
    model: str, kind: Kind, targets: Sequence[UpstreamTarget], *, local_models: Sequence[str] = ()
) -> ProblemError:
    """Neither an upstream nor a local model serves the model. The detail lists known models."""
    named = {name for one in targets if kind in one.config.kinds for name in one.config.models}
    known = sorted(named.union(local_models))
    listed = f" Known models: {', '.join(known[:20])}." if known else ""
    return ProblemError(
        404,
        "model-not-found",
        "No such model",
        f"No upstream serves the model {model!r} for {kind}.{listed}",
        errors=[FieldError("model", "is not served")],
    )


def still_starting(target: UpstreamTarget) -> ProblemError:
    """The upstream was not reachable for its whole start timeout."""
    text = f"The model at {target.name} did not start within {target.start_timeout:g} s."
    return ProblemError(
        503, "model-starting", "The model is not ready yet", text, headers={"Retry-After": "5"}
    )


def no_tools(model: str) -> ProblemError:
    """The local model would ignore `tool_choice`, and answer with a text."""
    text = f"must be auto or none: {model} cannot call tools"
    return ProblemError(
        422,
        "invalid-request",
        "The request is not valid",
        f"tool_choice {text}",
        errors=[FieldError("tool_choice", text)],
    )
