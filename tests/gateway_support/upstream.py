"""A fake OpenAI-compatible server with scripted responses. It records its requests."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

RESPONSE_USAGE = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 10,
}
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


def text_completion(model: str, text: str) -> dict[str, Any]:
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "text": text, "logprobs": None}],
        "usage": USAGE,
    }


def chunk(model: str, text: str | None, **more: Any) -> bytes:
    choices = [] if text is None else [{"index": 0, "delta": {"content": text}}]
    data = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    return b"data: " + json.dumps({**data, "choices": choices, **more}).encode() + b"\n\n"


def response(model: str, text: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content if text else [],
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": model,
        "status": status,
        "output": [message] if text else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSE_USAGE if text else None,
    }


def response_events(model: str, pieces: list[str]) -> Iterator[bytes]:
    begun = response(model, "", "in_progress")
    done = response(model, "".join(pieces))
    item, part = done["output"][0], done["output"][0]["content"][0]
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    empty = {**part, "text": ""}
    events: list[tuple[str, dict[str, Any]]] = [
        ("created", {"response": begun}),
        ("in_progress", {"response": begun}),
        ("output_item.added", {"output_index": 0, "item": {**item, "content": []}}),
        ("content_part.added", {**at, "part": empty}),
        *(("output_text.delta", {**at, "delta": one, "logprobs": []}) for one in pieces),
        ("output_text.done", {**at, "text": part["text"], "logprobs": []}),
        ("content_part.done", {**at, "part": part}),
        ("output_item.done", {"output_index": 0, "item": item}),
        ("completed", {"response": done}),
    ]
    for number, (kind, more) in enumerate(events):
        data = {"type": f"response.{kind}", "sequence_number": number, **more}
        yield f"event: response.{kind}\ndata: {json.dumps(data)}\n\n".encode()


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
        is_chat = request.path.endswith("/chat/completions")
        made = completion if is_chat else text_completion
        return web.json_response(made(body["model"], "hello"))

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

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """The `/v1/responses` of OpenAI: named events, without [DONE]."""
        await self._record(request)
        if (canned := self._canned()) is not None:
            return canned
        body = self.bodies[-1]
        if not body.get("stream"):
            return web.json_response(response(body["model"], "hello"))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for index, event in enumerate(response_events(body["model"], self.pieces)):
            if index == self.break_after:
                return answer
            await answer.write(event)
        return answer

    async def pass_through(self, request: web.Request) -> web.StreamResponse:
        """Any other path: tells what was received."""
        self.requests.append(request)
        self.raw.append(await request.read())
        if (canned := self._canned()) is not None:
            return canned
        return web.Response(
            body=b"\x00\xff" + self.raw[-1],
            status=201,
            headers={"Content-Type": "audio/mpeg", "Set-Cookie": "a=b"},
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
    app.router.add_post("/v1/completions", upstream.complete)
    app.router.add_post("/v1/responses", upstream.respond)
    app.router.add_post("/v1/embeddings", upstream.embed)
    app.router.add_get("/v1/models", upstream.list_models)
    app.router.add_route("*", "/v1/{path:.*}", upstream.pass_through)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield upstream
    finally:
        await runner.cleanup()
