"""A fake OpenAI-compatible server with scripted responses. It records its requests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def completion(model: str, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": USAGE,
    }


def chunk(model: str, text: str | None, **more: Any) -> bytes:
    choices = [] if text is None else [{"index": 0, "delta": {"content": text}}]
    data = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    return b"data: " + json.dumps({**data, "choices": choices, **more}).encode() + b"\n\n"


class StandIn:
    """Configured by attributes. `answers` are returned first, one per request."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[web.Request] = []
        self.bodies: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.cancelled = asyncio.Event()
        self.pause = 0.0
        self.pauses: dict[str, float] = {}
        self.pieces = ["Hel", "lo"]
        self.break_after: int | None = None
        self.answers: list[web.Response] = []
        self.always: web.Response | None = None
        self.models = ["stand-in"]
        self.cards: list[dict[str, Any]] | None = None
        self.stall = False
        self.running_usage = False
        self.half_event = False
        self.rejects_options: web.Response | None = None
        """Returned for a request with `stream_options`."""

    async def complete(self, request: web.Request) -> web.StreamResponse:
        await self._record(request)
        body = self.bodies[-1]
        if self.rejects_options is not None and "stream_options" in body:
            return _copy(self.rejects_options)
        try:
            await asyncio.sleep(self.pauses.get(body["model"], self.pause))
            canned = self._canned()
            if self.stall:
                return await self._stall(request)
            if canned is not None:
                return canned
            if body.get("stream"):
                return await self._stream(request, body)
        except (asyncio.CancelledError, ConnectionError):
            self.cancelled.set()
            raise
        return web.json_response(completion(body["model"], "hello"))

    async def embed(self, request: web.Request) -> web.StreamResponse:
        await self._record(request)
        canned = self._canned()
        if canned is not None:
            return canned
        given = self.bodies[-1]["input"]
        count = 1 if isinstance(given, str) else len(given)
        data = [{"object": "embedding", "index": i, "embedding": [1.0, i]} for i in range(count)]
        usage = {"prompt_tokens": 4, "total_tokens": 4}
        return web.json_response(
            {"object": "list", "data": data, "model": self.bodies[-1]["model"], "usage": usage}
        )

    async def list_models(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        cards = self.cards or [{"id": name} for name in self.models]
        return web.json_response({"object": "list", "data": cards})

    async def _stall(self, request: web.Request) -> web.StreamResponse:
        """Send the head of an error response, then hang."""
        response = web.StreamResponse(status=503, headers={"Content-Length": "100"})
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    async def _record(self, request: web.Request) -> None:
        self.requests.append(request)
        self.raw.append(await request.read())
        self.bodies.append(json.loads(self.raw[-1]))

    def _canned(self) -> web.Response | None:
        canned = self.answers.pop(0) if self.answers else self.always
        return None if canned is None else _copy(canned)

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for index, piece in enumerate(self.pieces):
            more = {"usage": USAGE} if self.running_usage else {}
            await response.write(chunk(body["model"], piece, **more))
            if index == self.break_after:
                assert request.transport is not None
                request.transport.close()
            await asyncio.sleep(0.01)
        if self.half_event:
            await response.write(chunk(body["model"], "lost")[:30])
        if self.half_event or self.running_usage:
            return response
        if body.get("stream_options", {}).get("include_usage"):
            await response.write(chunk(body["model"], None, usage=USAGE))
        await response.write(b"data: [DONE]\n\n")
        return response


def _copy(canned: web.Response) -> web.Response:
    """A response can be sent once only."""
    passed = ("Retry-After", "retry-after-ms", "Content-Encoding")
    headers = {name: canned.headers[name] for name in passed if name in canned.headers}
    return web.Response(
        status=canned.status, body=canned.body, content_type=canned.content_type, headers=headers
    )


def refusal(
    status: int, message: str = "no", retry_after: str = "", milliseconds: str = ""
) -> web.Response:
    given = {"Retry-After": retry_after, "retry-after-ms": milliseconds}
    headers = {name: value for name, value in given.items() if value}
    error = {"message": message, "type": "x", "code": "the_code"}
    return web.json_response({"error": error}, status=status, headers=headers)


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    upstream = StandIn()
    app = web.Application(client_max_size=2**24)
    for path in ("/v1", "/v1beta/openai", "/openai/deployments/gpt"):
        app.router.add_post(f"{path}/chat/completions", upstream.complete)
    app.router.add_post("/v1/embeddings", upstream.embed)
    app.router.add_get("/v1/models", upstream.list_models)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield upstream
    finally:
        await runner.cleanup()
