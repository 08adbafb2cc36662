"""`/answer` of examples/flask-app in bare ASGI: the minimum cost with asyncio."""

import json
import os
from typing import Any

import aiohttp

URL = os.environ["UPSTREAM_URL"] + "/v1/chat/completions"
HEADERS = [(b"content-type", b"application/json")]


class State:
    session: aiohttp.ClientSession


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=5000)
        ) as State.session:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    answer = (
        await _complete(await _body(receive)) if scope["method"] == "POST" else {"status": "ok"}
    )
    body = json.dumps(answer).encode()
    headers = [*HEADERS, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _complete(body: bytes) -> dict[str, str]:
    messages = [{"role": "user", "content": json.loads(body)["question"]}]
    payload = {"model": "small", "messages": messages}
    async with State.session.post(URL, json=payload) as answer:
        return {"answer": (await answer.json())["choices"][0]["message"]["content"]}
