"""Waiting for upstreams is counted where the app uses httpx, with either transport."""

import pytest
from runtime_support.pod import serve, until

APP = """
import asyncio, httpx, httpx_aiohttp
def transport():
    return {transport}
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b"x"
    if scope["path"] == "/wait":
        await asyncio.sleep(0.3)
    elif scope["path"] == "/":
        url = "http://%s:%d/wait" % scope["server"]
        async with httpx.AsyncClient(transport=transport()) as client:
            answers = await asyncio.gather(*(client.get(url) for _ in range(3)))
        body = str([answer.status_code for answer in answers]).encode()
    head = {{"type": "http.response.start", "status": 200, "headers": []}}
    await send(head)
    await send({{"type": "http.response.body", "body": body}})
"""


@pytest.mark.parametrize(
    "transport", ["httpx.AsyncHTTPTransport()", "httpx_aiohttp.AiohttpTransport()"]
)
@pytest.mark.parametrize("tracking", ["on", "off"])
async def test_calls_side_by_side_are_counted_once_in_time(tmp_path, transport, tracking):
    (tmp_path / "calls.py").write_text(APP.format(transport=transport))
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
