"""A small ASGI app with each behaviour that the runtime must handle."""

import asyncio
import os
import time
from urllib.parse import parse_qs

from aiapi_runtime.telemetry import metrics, request_id

ASKED = metrics.counter("app_asked", "Requests by path.", ["path"])
TOOK = metrics.histogram("app_took_seconds", "Time of a request.")


async def _answer(send, body, status=200):
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def _stream(send, chunks, pause):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(chunks):
        await send({"type": "http.response.body", "body": b"%d " % number, "more_body": True})
        await asyncio.sleep(pause)
    await send({"type": "http.response.body", "body": b"end"})


def hold_the_loop(seconds):
    time.sleep(seconds)


async def _echo_messages(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    if scope["path"] == "/client":
        await send({"type": "websocket.send", "text": scope["client"][0]})
    while (message := await receive())["type"] == "websocket.receive":
        text = f"{message['text']} {os.getpid()}"
        await send({"type": "websocket.send", "text": text})


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/client":
        await _answer(send, scope["client"][0].encode())
    elif scope["type"] == "http":
        await _answer_request(scope, receive, send)
    elif scope["type"] == "websocket":
        await _echo_messages(scope, receive, send)


async def _answer_request(scope, receive, send):
    query = {
        key: float(value[0]) for key, value in parse_qs(scope["query_string"].decode()).items()
    }
    ASKED.labels(scope["path"]).inc()
    TOOK.labels().observe(0.02)
    match scope["path"]:
        case "/id":
            await _answer(send, request_id().encode())
            return
        case "/wait":
            await asyncio.sleep(query["s"])
        case "/stream":
            await _stream(send, int(query["n"]), query["s"])
            return
        case "/block":
            hold_the_loop(query["s"])
        case "/crash":
            os.kill(os.getpid(), 9)
        case "/error":
            raise RuntimeError("wanted")
        case "/status":
            await _answer(send, b"", int(query["code"]))
            return
        case "/echo":
            body = b""
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            await _answer(send, body)
            return
    await _answer(send, str(os.getpid()).encode())
