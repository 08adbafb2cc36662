"""Traces, request ids and trace contexts of a real pod, as a collector and an upstream see them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from runtime_support.pod import serve, until

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
HEADERS = f"traceparent: 00-{TRACE}-{CALLER}-01\r\nx-request-id: order-7\r\n"
APP = """
import logging, os
import httpx
from aiapi_runtime.telemetry.tracing import span
logger = logging.getLogger("shop")
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    with span("price", currency="EUR"):
        async with httpx.AsyncClient() as client:
            await client.get(os.environ["UPSTREAM"] + "/price")
        logger.warning("priced")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})
"""


class Outside:
    """A trace collector and an upstream in one."""

    def __init__(self):
        self.spans = {}
        self.asked = []

    async def collect(self, request):
        export = ExportTraceServiceRequest.FromString(await request.read())
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                self.spans.update({span.name: span for span in scope.spans})
        return web.Response()

    async def price(self, request):
        self.asked.append(request.headers.get("traceparent"))
        return web.Response(text="1")


@asynccontextmanager
async def outside() -> AsyncIterator[tuple[Outside, str]]:
    it = Outside()
    app = web.Application()
    app.router.add_post("/v1/traces", it.collect)
    app.router.add_get("/price", it.price)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    yield it, f"http://{host}:{port}"
    await runner.cleanup()


def _logged(pod):
    lines = [json.loads(line) for line in pod.log.read_text().splitlines() if line[0] == "{"]
    return next(line for line in lines if line["message"] == "priced")


async def test_a_request_is_one_span_between_its_callers_and_the_apps_own(tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    async with (
        outside() as (seen, url),
        serve(
            tmp_path,
            f"--app-dir={tmp_path}",
            app="shop:app",
            UPSTREAM=url,
            OTEL_EXPORTER_OTLP_ENDPOINT=url,
            OTEL_BSP_SCHEDULE_DELAY="50",
        ) as pod,
    ):
        await pod.ready(1)
        assert (await (await pod.connect()).ask("/buy", HEADERS)).status == 200

        async def collected():
            return len(seen.spans) == 2

        await until(collected)
        server, step = seen.spans["GET"], seen.spans["price"]
        assert server.trace_id.hex() == step.trace_id.hex() == TRACE
        assert server.parent_span_id.hex() == CALLER
        assert step.parent_span_id == server.span_id
        attributes = {one.key: one.value for one in server.attributes}
        assert attributes["url.path"].string_value == "/buy"
        assert attributes["http.response.status_code"].int_value == 200
        assert attributes["aiapi.request_id"].string_value == "order-7"
        assert seen.asked == [f"00-{TRACE}-{step.span_id.hex()}-01"]
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        text = (await pod.get("/metrics", headers=accept))[1]
        (bucket,) = [line for line in text.splitlines() if f'trace_id="{TRACE}"' in line]
        assert bucket.startswith("aiapi_request_duration_seconds_bucket")
        assert text.endswith("# EOF\n")
        assert "trace_id" not in (await pod.get("/metrics"))[1]


async def test_without_a_collector_trace_context_and_id_are_still_passed_on(tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    async with outside() as (seen, url):
        flags = (f"--app-dir={tmp_path}", "--log-format=json")
        async with serve(tmp_path, *flags, app="shop:app", UPSTREAM=url) as pod:
            await pod.ready(1)
            connection = await pod.connect()
            assert (await connection.ask("/buy", HEADERS)).status == 200
            assert (await connection.ask("/buy")).status == 200
            assert _logged(pod)["request_id"] == "order-7"
        assert seen.asked == [f"00-{TRACE}-{CALLER}-01", None]
