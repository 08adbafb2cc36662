"""Pods for the activator: real Uvicorn servers in threads, with an app that shows what it got."""

import asyncio
import socket
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import uvicorn

from aiapi_operator.activator.fleet import Pod


@dataclass
class UvicornPod:
    """One pod; the requests are recorded.

    ``ready`` is its answer on /readyz, and ``serves`` on /readyz?workers=any. A runtime that does
    not know the query answers it as /readyz.
    """

    name: str = "pod-1"
    ready: bool = True
    serves: bool | None = None
    delay: float = 0.0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        config = uvicorn.Config(
            self.app, interface="asgi3", log_level="critical", access_log=False, lifespan="off"
        )
        self.server = uvicorn.Server(config)
        self.thread: threading.Thread | None = None

    @property
    def pod(self) -> Pod:
        return Pod(
            name=self.name, uid=self.name, address="127.0.0.1", port=self.port, admin_port=self.port
        )

    def start(self) -> "UvicornPod":
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],), daemon=True)
        self.thread.start()
        return self

    def stop(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        if self.thread is not None:
            self.thread.join(10)
        self.listener.close()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await _echo(receive, send)
            return
        path = scope["path"]
        if path == "/readyz":
            any_worker = scope["query_string"] == b"workers=any" and self.serves is not None
            answer = self.serves if any_worker else self.ready
            await _respond(send, 200 if answer else 503, b"")
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        self.requests.append((path, headers))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.delay)
        self.at_once -= 1
        await self.answer(path, receive, send)

    async def answer(self, path: str, receive: Any, send: Any) -> None:
        if path == "/upload":
            await _respond(send, 200, await _digest(receive))
        elif path == "/refuses-upload":
            await _respond(send, 413, b"too large")
        elif path == "/events":
            await _stream(send, [b"data: %d\n\n" % n for n in range(5)], pause=0.02)
        elif path == "/large":
            await _stream(send, [bytes([n % 251]) * 65536 for n in range(160)])
        elif path == "/nothing":
            await _respond(send, 204, b"")
        elif path == "/unchanged":
            await _respond(send, 304, b"")
        elif path == "/breaks":
            await _stream(send, [b"partial"], breaks=True)
        else:
            await _respond(send, 200, self.name.encode())


async def _respond(send: Any, status: int, body: bytes) -> None:
    length = [] if status in (204, 304) else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": length})
    await send({"type": "http.response.body", "body": body})


async def _stream(
    send: Any, parts: list[bytes], *, pause: float = 0.0, breaks: bool = False
) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(pause)
    if breaks:
        return
    await send({"type": "http.response.body", "body": b""})


async def _digest(receive: Any) -> bytes:
    digest, size = sha256(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"disconnected"
        digest.update(message["body"])
        size += len(message["body"])
        if not message.get("more_body"):
            return b"%d %s" % (size, digest.hexdigest().encode())


async def _echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": f"echo {message['text']}"})
