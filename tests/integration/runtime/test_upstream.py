"""Waiting for upstreams is counted where the app uses httpx, with either transport, or aiohttp."""

import pytest
from runtime_support.pod import serve, until

APP = """
import aiohttp, asyncio, httpx, httpx_aiohttp
def client():
    return {client}
async def ask(client, url):
    if isinstance(client, httpx.AsyncClient):
        return (await client.get(url)).status_code
    async with client.get(url) as answer:
        await answer.read()
        return answer.status
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b"x"
    if scope["path"] == "/wait":
        await asyncio.sleep(0.3)
    elif scope["path"] == "/":
        url = "http://%s:%d/wait" % scope["server"]
        async with client() as one:
            answers = await asyncio.gather(*(ask(one, url) for _ in range(3)))
        body = str(answers).encode()
    head = {{"type": "http.response.start", "status": 200, "headers": []}}
    await send(head)
    await send({{"type": "http.response.body", "body": body}})
"""


@pytest.mark.parametrize(
    "client",
    [
        "httpx.AsyncClient()",
        "httpx.AsyncClient(transport=httpx_aiohttp.AiohttpTransport())",
        "aiohttp.ClientSession()",
    ],
)
@pytest.mark.parametrize("tracking", ["on", "off"])
async def test_the_time_of_concurrent_calls_counts_once(tmp_path, client, tracking):
    (tmp_path / "calls.py").write_text(APP.format(client=client))
    flags = (f"--app-dir={tmp_path}", f"--upstream-tracking={tracking}")
    async with serve(tmp_path, *flags, app="calls:app") as pod:
        await pod.ready(1)
        connection = await pod.connect()
        assert (await connection.ask()).body == b"[200, 200, 200]"

        async def counted():
            stats = await pod.stats()
            return stats if stats["requests"]["success"] == 4 else None

        stats = await until(counted)
    waited = stats["upstream_seconds"]
    if tracking == "on":
        assert 0.3 <= waited < 0.8
        assert waited <= stats["in_flight_seconds"]
    else:
        assert waited == 0
