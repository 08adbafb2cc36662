"""The bundled app: an OpenAI-compatible gateway that passes calls on to an upstream.

``AIAPI_UPSTREAMS`` says where the upstream is. A caller who goes away takes the upstream call
with them: tokens nobody reads cost money.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from aiapi_service.gateway import problems
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.settings import Settings, load
from aiapi_service.gateway.upstream import Upstreams, no_upstream

VERSION = version("aiapi")


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body: a JSON object no larger than the limit."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            detail = f"The body is larger than AIAPI_MAX_BODY_BYTES ({limit})."
            raise ProblemError(413, "body-too-large", "The body is too large", detail)
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise ProblemError(400, "not-json", "The body is not JSON", str(error)) from error
    if not isinstance(parsed, dict):
        detail = "Send an object with model and messages, as the OpenAI API has it."
        raise ProblemError(400, "not-an-object", "The body is not a JSON object", detail)
    return bytes(body)


async def while_connected(request: Request, work: Coroutine[Any, Any, Response]) -> Response | None:
    """Do the work, unless the caller goes away first: then it is cancelled, and None."""
    call = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((call, gone), return_when=asyncio.FIRST_COMPLETED)
        return call.result() if call.done() else None
    finally:
        for task in (call, gone):
            task.cancel()
        await asyncio.gather(call, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def forward(request: Request, path: str, body: bytes | None = None) -> Response:
    """Pass a call on and its answer back, as a stream where the upstream streams."""
    upstreams: Upstreams = request.app.state.upstreams
    answer = await while_connected(request, _begin(upstreams, request.method, path, body))
    return answer if answer is not None else Response(status_code=499)


async def _begin(upstreams: Upstreams, method: str, path: str, body: bytes | None) -> Response:
    answer = await upstreams.open(method, path, body)
    kind = answer.headers.get("content-type", "application/json")
    if kind.startswith("text/event-stream"):
        return StreamingResponse(
            upstreams.stream(answer), status_code=answer.status_code, headers=_headers(answer, kind)
        )
    content = await upstreams.read(answer)
    return Response(content, status_code=answer.status_code, headers=_headers(answer, kind))


def _headers(answer: httpx.Response, kind: str) -> dict[str, str]:
    kept = {
        name: answer.headers[name]
        for name in ("retry-after", "x-request-id")
        if name in answer.headers
    }
    return {"content-type": kind, **kept}


def create_app(settings: Settings) -> FastAPI:
    """The app for these settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.upstreams = Upstreams(settings)
        try:
            yield
        finally:
            await app.state.upstreams.close()

    app = FastAPI(title="aiapi gateway", version=VERSION, lifespan=lifespan)
    problems.install(app)

    @app.get("/")
    async def about() -> dict[str, Any]:
        """Say what this is and whether it has an upstream."""
        return {
            "name": "aiapi gateway",
            "version": VERSION,
            "about": "An OpenAI-compatible gateway, right-sized by aiapi-operator.",
            "upstreams": len(settings.upstreams),
            "hint": None if settings.upstreams else no_upstream().detail,
            "paths": ["/v1/chat/completions", "/v1/models", "/docs"],
        }

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        """Pass a chat completion on, streamed or whole."""
        body = await read_body(request, settings.max_body_bytes)
        return await forward(request, "/v1/chat/completions", body)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        """The upstream's models."""
        return await forward(request, "/v1/models")

    return app


app = create_app(load())
