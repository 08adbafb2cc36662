"""Answers of an upstream that are no answers: which are the caller's, which may be tried again."""

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

_MOST_BYTES = 65536
_MOST_TEXT = 2000
_MOST_SECONDS = 5.0
# llama.cpp's words for what is no fault of the model's server, though it says 500.
_NO_IMAGES = "image input is not supported"
_NO_ROOM = "Context size has been exceeded"
_NO_ROOM_SECONDS = 5


async def classify(answer: UpstreamResponse, today: datetime) -> FailedAttempt:
    """The failure that this is; raises the problem when it is the caller's own."""
    status = answer.reply.status
    name = answer.target.name
    wait = backoff.retry_after(answer.reply.header(b"retry-after"), today)
    said = await _read(answer)
    if status in (401, 403):
        # It is the gateway's key that was refused, not the caller's; what was said may quote it.
        text = f"{name} refused the gateway's key ({status}). See AIAPI_UPSTREAM_API_KEY."
        problem = ProblemError(502, "upstream-refused-key", "The upstream refused the key", text)
        return FailedAttempt(problem, unseen=True, counts=False)
    if status in (429, 503):
        return FailedAttempt(
            _passed_on(status, said, wait), unseen=True, counts=status == 503, wait=wait
        )
    if status >= 500 and answer.target.patience:
        return _of_local(status, said)
    if status >= 500:
        text = f"{name} answered {status}: {_message(said)}"
        problem = ProblemError(502, "upstream-error", "The upstream failed", text)
        return FailedAttempt(problem, unseen=False)
    if status == 404 and _names_no_model(said):
        problem = _passed_on(status, said, None)
        return FailedAttempt(problem, unseen=True, counts=False, lacks_model=True)
    if status >= 400:
        raise _passed_on(status, said, None)
    raise failures.broken(f"{name} answered {status}")


def _of_local(status: int, said: Any) -> FailedAttempt:
    """Of the pod's own model: what one caller asks of it does not close it off for the others."""
    message = _message(said)
    if _NO_IMAGES in message:
        raise _passed_on(400, said, None)
    if _NO_ROOM in message:
        text = "The local model has no room for so much text at once. Try again, or ask for less."
        headers = {"Retry-After": str(_NO_ROOM_SECONDS)}
        problem = ProblemError(503, "model-full", "The model is full", text, headers=headers)
    else:
        text = f"The local model answered {status}: {message}"
        problem = ProblemError(502, "upstream-error", "The upstream failed", text)
    return FailedAttempt(problem, unseen=False, counts=False)


def _names_no_model(said: Any) -> bool:
    """OpenAI's code for it, or words to the same effect, as vLLM and Ollama put it."""
    error = said.get("error") if isinstance(said, dict) else None
    if isinstance(error, dict) and error.get("code") == "model_not_found":
        return True
    return "model" in _message(said).lower()


async def _read(answer: UpstreamResponse) -> Any:
    """The error as the upstream has put it, within bounds."""
    body = bytearray()
    try:
        with suppress(httpx.HTTPError, ProblemError, TimeoutError):
            async with asyncio.timeout(_MOST_SECONDS):
                async for piece in answer.pieces():
                    body += piece
                    if len(body) > _MOST_BYTES:
                        return None
        return lenient_json.load(bytes(body))
    except ValueError:
        return None
    finally:
        await answer.close()


def _message(said: Any) -> str:
    """What the upstream says, wherever it says it."""
    error = said.get("error", said) if isinstance(said, dict) else said
    text = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return text[:_MOST_TEXT] if isinstance(text, str) and text else "no reason given"


def _passed_on(status: int, said: Any, wait: float | None) -> ProblemError:
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "The upstream refused the request"
    problem = ProblemError(status, "upstream-refused", title, _message(said))
    if wait is not None:
        problem.headers["Retry-After"] = str(max(1, round(wait + 0.5)))
    error = said.get("error") if isinstance(said, dict) else None
    if isinstance(error, dict):
        ours = problem.body()["error"]
        kept = {
            name: value
            for name, value in error.items()
            if name not in ("message", "type") or isinstance(value, str)
        }
        problem.extra["error"] = ours | kept
    return problem


def unknown_model(
    model: str, kind: Kind, targets: Sequence[UpstreamTarget], *, here: Sequence[str] = ()
) -> ProblemError:
    """No upstream has it, nor is it here; names some that there are."""
    named = {name for one in targets if kind in one.spec.kinds for name in one.spec.models}
    known = sorted(named.union(here))
    listed = f" There are: {', '.join(known[:20])}." if known else ""
    return ProblemError(
        404,
        "model-not-found",
        "There is no such model",
        f"No upstream serves the model {model!r} for {kind}.{listed}",
        errors=[FieldError("model", "is not served here")],
    )


def still_starting(target: UpstreamTarget) -> ProblemError:
    """It could not be connected to for all the time it may take to start."""
    text = f"The model at {target.name} has not started within {target.patience:g} s."
    return ProblemError(
        503, "model-starting", "The model is not there yet", text, headers={"Retry-After": "5"}
    )
