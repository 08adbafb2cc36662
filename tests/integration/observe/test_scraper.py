"""Pods that hang, refuse, return invalid data or flood do not delay other scrapes."""

import asyncio
import gc
import gzip
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aiapi_operator.observe.scrape_round import PodScrape
from aiapi_operator.observe.scraper import StatsScraper
from aiapi_operator.observe.session import open_session
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.observe.workers_client import HttpWorkersClient
from aiapi_operator.sizing.inputs import PodUnknown

BOMB = gzip.compress(b" " * 10**7)
"""An answer of 10 MB that is short while it is compressed."""


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


async def hangs(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def floods(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(1000):
        await answer.write(b" " * 65536)
    return answer


async def lies(_: web.Request) -> web.Response:
    return web.json_response({"version": 1})


async def fails(_: web.Request) -> web.Response:
    return web.Response(status=500)


async def sends_elsewhere(_: web.Request) -> web.Response:
    raise web.HTTPFound("http://192.0.2.1/stats")


async def compresses(_: web.Request) -> web.Response:
    return web.Response(body=BOMB, headers={"Content-Encoding": "gzip"})


async def test_each_failure_is_named_and_ends_by_its_deadline() -> None:
    handlers = [hangs, floods, lies, fails, sends_elsewhere, compresses]
    servers = []
    for handler in handlers:
        app = web.Application()
        app.router.add_get("/stats", handler)
        server = TestServer(app)
        await server.start_server(shutdown_timeout=0.1)
        servers.append(server)
    targets = [
        ScrapeTarget(pod=handler.__name__, address="127.0.0.1", port=server.port or 0, ready=True)
        for handler, server in zip(handlers, servers, strict=True)
    ]
    began = time.monotonic()
    async with StatsScraper(deadline=0.5) as scraper:
        answers = await scraper.scrape(targets, ("t",))
    assert time.monotonic() - began < 1.5
    reasons = {each.pod: each.reason for each in answers if isinstance(each, PodUnknown)}
    assert reasons["hangs"] == "no answer within 0.5 s"
    assert "longer than 65536 bytes" in reasons["floods"]
    assert "missing required field" in reasons["lies"]
    assert "HTTP 500" in reasons["fails"]
    assert "HTTP 302" in reasons["sends_elsewhere"]
    assert "it is compressed" in reasons["compresses"]
    for server in servers:
        await server.close()


async def test_a_redirect_of_a_worker_count_is_not_followed(
    session: aiohttp.ClientSession,
) -> None:
    asked: list[str] = []

    async def redirects(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", redirects)
    async with TestServer(app) as server:
        target = ScrapeTarget(pod="a-1", address="127.0.0.1", port=server.port or 0, ready=True)
        refused = await HttpWorkersClient(session).set([target], 2, ("t",))
    assert refused["a-1"].startswith("HTTP 307")
    assert asked == ["/workers"]


async def test_an_unreachable_pod_is_unknown(
    session: aiohttp.ClientSession, unused_tcp_port: int
) -> None:
    target = ScrapeTarget(pod="a-1", address="127.0.0.1", port=unused_tcp_port, ready=False)
    outcomes: list[str] = []
    async with StatsScraper(observer=lambda outcome, _: outcomes.append(outcome)) as scraper:
        (answer,) = await scraper.scrape([target], ("t",))
    assert outcomes == ["failed"]
    assert isinstance(answer, PodUnknown)
    assert not answer.ready
    assert (await HttpWorkersClient(session).set([target], 2, ("t",)))["a-1"]


async def test_a_scrape_leaves_nothing_for_the_garbage_collector() -> None:
    app = web.Application()
    app.router.add_get("/stats", lies)
    async with TestServer(app) as server, StatsScraper(deadline=0.5) as scraper:
        targets = [
            ScrapeTarget(pod=f"a-{number}", address="127.0.0.1", port=server.port or 0, ready=True)
            for number in range(10)
        ]
        await scraper.scrape(targets, ("t",))
        gc.collect()
        gc.disable()
        try:
            await scraper.scrape(targets, ("t",))
            left = [each for each in gc.get_objects() if isinstance(each, PodScrape)]
        finally:
            gc.enable()
    assert left == []


def test_an_ipv6_address_is_in_brackets() -> None:
    assert (
        ScrapeTarget(pod="a", address="fd00::7", ready=True).url("/x") == "http://[fd00::7]:9000/x"
    )
