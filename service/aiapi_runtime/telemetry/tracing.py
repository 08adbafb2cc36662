"""Traces: one span per request, and the spans that the app opens within it.

On when `OTEL_EXPORTER_OTLP_ENDPOINT` is set (extra `aiapi-runtime[otel]`); all other `OTEL_*`
variables are OpenTelemetry's own. When off, a span costs one comparison, and the caller's trace
context is still passed on to upstreams.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager, nullcontext
from threading import Thread
from typing import Any

from aiapi_runtime.telemetry.identity import header, request_id, traceparent
from aiapi_runtime.telemetry.requests import (
    App,
    CurrentRequest,
    Message,
    Receive,
    Scope,
    Send,
    current,
)

logger = logging.getLogger("aiapi.tracing")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# `opentelemetry-instrument` traces requests itself: a second span for each would only cost.
_AGENT = "opentelemetry.instrumentation.auto_instrumentation"
_END_SECONDS = 2.0
_NOTHING: AbstractContextManager[Any] = nullcontext()


class _Tracing:
    """OpenTelemetry's objects, once a worker has set them up."""

    tracer: Any = None
    provider: Any = None


def span(name: str, **attributes: str | float | bool) -> AbstractContextManager[Any]:
    """A step of the request as a span: `with span("embed", model="m"):`."""
    tracer = _Tracing.tracer
    return _NOTHING if tracer is None else tracer.start_as_current_span(name, attributes=attributes)


def inject(headers: MutableMapping[str, str]) -> None:
    """Put the current W3C trace context into the headers of a call to an upstream."""
    request = current.get()
    if _Tracing.tracer is not None:
        from opentelemetry import trace  # noqa: PLC0415 - present, since there is a tracer

        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return
        flags = int(context.trace_flags)
        headers["traceparent"] = f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"
    elif request is not None and traceparent(request) is not None:
        headers["traceparent"] = header(request, b"traceparent").decode()
    else:
        return
    if request is not None and (state := header(request, b"tracestate")):
        headers["tracestate"] = state.decode("latin-1")


def set_up() -> bool:
    """Start tracing. Call it in a worker: the exporter's thread does not survive a fork."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or _AGENT in sys.modules or not any(os.environ.get(name) for name in _ENDPOINTS):
        return False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - heavy, and an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - see above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - see above
    except ImportError as error:
        logger.warning(
            "traces are off although an endpoint is set: %s; install aiapi-runtime[otel]", error
        )
        return False
    name = os.environ.get("OTEL_SERVICE_NAME", "aiapi")
    provider = TracerProvider(
        resource=Resource.create({"service.name": name}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _Tracing.provider = provider
    _Tracing.tracer = provider.get_tracer("aiapi")
    return True


def shut_down() -> None:
    """Send the remaining spans. The time is bounded, so that an absent collector delays nothing."""
    if _Tracing.provider is not None:
        ending = Thread(target=_Tracing.provider.shutdown, daemon=True)
        ending.start()
        ending.join(_END_SECONDS)
        _Tracing.tracer = _Tracing.provider = None


def trace_requests(app: App) -> App:
    """Each request as one server span, a child of the caller's span where it sends one."""
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 - an extra

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        request = current.get()
        if scope["type"] != "http" or request is None:
            await app(scope, receive, send)
            return
        attributes = {
            "http.request.method": scope["method"],
            "url.path": scope["path"],
            "url.scheme": scope["scheme"],
            "aiapi.request_id": request_id(),
        }
        with _Tracing.tracer.start_as_current_span(
            scope["method"],
            context=_context(request),
            kind=SpanKind.SERVER,
            attributes=attributes,
        ) as server:
            context = server.get_span_context()
            if context.trace_flags.sampled:
                request.trace = context.trace_id.to_bytes(16, "big")

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _responded(server, scope, message["status"])
                await send(message)

            await app(scope, receive, noted)

    return traced


def _context(request: CurrentRequest) -> Any:
    """The caller's span as the parent; an empty context makes a root span."""
    from opentelemetry import trace  # noqa: PLC0415 - an extra
    from opentelemetry.context import Context  # noqa: PLC0415 - an extra

    parent = traceparent(request)
    if parent is None:
        return Context()
    caller = trace.SpanContext(
        int(parent[0], 16),
        int(parent[1], 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(parent[2]),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(caller), Context())


def _responded(server: Any, scope: Scope, status: int) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 - an extra

    server.set_attribute("http.response.status_code", status)
    # FastAPI leaves the matched route in the scope; unlike the path, its template has few values.
    route = getattr(scope.get("route"), "path", "")
    if route:
        server.set_attribute("http.route", route)
        server.update_name(f"{scope['method']} {route}")
    if status >= 500:
        server.set_status(StatusCode.ERROR)
