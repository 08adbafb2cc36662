"""Runs the gateway under Uvicorn on loopback, with clients."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import uvicorn

from aiapi_service.gateway.app import create_app
from aiapi_service.gateway.settings import GatewaySettings

CHAT = "/v1/chat/completions"
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def settings(**given: Any) -> GatewaySettings:
    """Settings, by default without local models and authentication."""
    return GatewaySettings(**{"auth": "off", "local": "off", **given})


@asynccontextmanager
async def serving(gateway_settings: GatewaySettings) -> AsyncIterator[str]:
    """Serve the gateway. Yields the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(gateway_settings), log_level="warning", ws="none", lifespan="on"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(20):
            while not server.started:
                assert not task.done(), "the gateway did not start"
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 20)
        listener.close()


@asynccontextmanager
async def gateway(**given: Any) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        serving(settings(**given)) as base,
        aiohttp.ClientSession(base, timeout=timeout) as session,
    ):
        yield session


def upstreams(*urls: str, **more: Any) -> str:
    return json.dumps([{"url": url, **more} for url in urls])


def dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def problem(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    assert answer.content_type == "application/problem+json"
    details: dict[str, Any] = await answer.json()
    assert details["status"] == answer.status
    assert details["error"]["message"]
    return details
