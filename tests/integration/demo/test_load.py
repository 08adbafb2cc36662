"""The load generator against a real server on loopback."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from aiapi_demo.load import LoadGenerator, LoadScript
from aiapi_demo.records import RequestRecord, decode
from aiapi_demo.schedule import Phase

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def send(
    url: str, **changes: float
) -> tuple[tuple[RequestRecord, ...], list[dict[str, object]]]:
    script = LoadScript(
        url=url,
        body={"question": "why?"},
        phases=(Phase(name="calm", seconds=1.2, rate=50, upstream_seconds=0),),
        records="",
        **changes,  # type: ignore[arg-type]
    )
    records, progress = io.StringIO(), io.StringIO()
    await LoadGenerator(LoadScript.parse(script.dump()), records=records, progress=progress).run()
    lines = progress.getvalue().splitlines()
    return decode(records.getvalue().splitlines()), [json.loads(line) for line in lines]


async def test_every_request_is_recorded_and_reported() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response()

    async with serving(answer) as url:
        records, progress = await send(url)
    assert len(records) > 30
    assert all(record.ok and record.latency < 0.5 for record in records)
    assert [line["event"] for line in progress] == ["start", "progress", "end"]
    assert progress[-1] == {"event": "end", "requests": len(records), "failed": 0}


async def test_a_stall_counts_for_every_request_that_was_due_in_it() -> None:
    gate = asyncio.Lock()
    first = True

    async def stall_once(_request: web.Request) -> web.Response:
        nonlocal first
        async with gate:
            if first:
                first = False
                await asyncio.sleep(0.6)
        return web.Response()

    async with serving(stall_once) as url:
        records, _ = await send(url)
    waited = [record for record in records if record.latency > 0.1]
    assert len(waited) > 10, "a closed loop would have seen one slow request"


async def test_errors_and_timeouts_are_failures_and_not_retried() -> None:
    seen = 0

    async def refuse(_request: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        if seen == 1:
            await asyncio.sleep(1)
        return web.Response(status=503)

    async with serving(refuse) as url:
        records, progress = await send(url, timeout_seconds=0.3)
    assert seen == len(records) == progress[-1]["failed"]
    assert sorted({record.status for record in records}) == [0, 503]
    assert all("Timeout" in record.error for record in records if record.status == 0)


async def test_connections_are_reused_and_replaced_when_too_old() -> None:
    peers: set[object] = set()

    async def remember(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response()

    async with serving(remember) as url:
        records, _ = await send(url, pools=2, connection_seconds=0.3)
    assert 4 <= len(peers) < len(records) / 2
