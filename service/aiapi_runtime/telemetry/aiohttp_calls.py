"""Counts the time an app waits for upstreams that it calls with aiohttp's client.

Like `httpx_calls`, but through aiohttp's own tracing of sessions: from the start of a request to
the end of its response's body.
"""

import sys
from types import SimpleNamespace
from typing import Any

from aiapi_runtime.telemetry.requests import UpstreamCall
from aiapi_runtime.telemetry.tracing import inject


def track() -> None:
    """Trace each session that is created from now on, if the app has imported aiohttp."""
    session = getattr(sys.modules.get("aiohttp"), "ClientSession", None)
    if session is None or hasattr(session.__init__, "__wrapped__"):
        return
    original, trace = session.__init__, _trace()

    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807 - replaces the session's
        options["trace_configs"] = [*(options.get("trace_configs") or ()), trace]
        original(self, *args, **options)

    __init__.__wrapped__ = original  # type: ignore[attr-defined]
    session.__init__ = __init__


def _trace() -> Any:
    import aiohttp  # noqa: PLC0415 - present, since there is a session class

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_started)
    trace.on_request_end.append(_responded)
    trace.on_request_exception.append(_failed)
    return trace


async def _started(_: Any, call: SimpleNamespace, request: Any) -> None:
    call.upstream = UpstreamCall()
    if "traceparent" not in request.headers:
        inject(request.headers)


async def _responded(_: Any, call: SimpleNamespace, answer: Any) -> None:
    # A response that is not read to its end counts until the end of the request that made the call.
    answer.response.content.on_eof(call.upstream.end)


async def _failed(_: Any, call: SimpleNamespace, __: Any) -> None:
    call.upstream.end()
