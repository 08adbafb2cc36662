"""Counts the time an app waits for its upstreams where it calls them by aiohttp's own client.

As `httpx_calls` does for httpx, by what aiohttp offers for it: a trace of each session, from the
start of a request to the end of its answer's body.
"""

import sys
from types import SimpleNamespace
from typing import Any

from aiapi_runtime.telemetry.requests import UpstreamCall
from aiapi_runtime.telemetry.tracing import inject


def track() -> None:
    """Have each session that is made from now on traced, if the app has imported aiohttp."""
    session = getattr(sys.modules.get("aiohttp"), "ClientSession", None)
    if session is None or hasattr(session.__init__, "__wrapped__"):
        return
    make, trace = session.__init__, _trace()

    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807 - it stands for that of the session
        options["trace_configs"] = [*(options.get("trace_configs") or ()), trace]
        make(self, *args, **options)

    __init__.__wrapped__ = make  # type: ignore[attr-defined]
    session.__init__ = __init__


def _trace() -> Any:
    import aiohttp  # noqa: PLC0415 - present, or there were no session

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_started)
    trace.on_request_end.append(_answered)
    trace.on_request_exception.append(_failed)
    return trace


async def _started(_: Any, call: SimpleNamespace, request: Any) -> None:
    call.upstream = UpstreamCall()
    if "traceparent" not in request.headers:
        inject(request.headers)


async def _answered(_: Any, call: SimpleNamespace, answer: Any) -> None:
    # One that is not read to its end counts to the end of the request it was made in.
    answer.response.content.on_eof(call.upstream.end)


async def _failed(_: Any, call: SimpleNamespace, __: Any) -> None:
    call.upstream.end()
