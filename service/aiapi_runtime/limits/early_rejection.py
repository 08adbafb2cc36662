"""Refuses a request beyond the limit as soon as its head is read: no task, no app, one write.

Under overload most requests are refused, so the cost of a refusal decides how much of the worker is
left for the others. Where the connection needs care (its last request, one that waits for
`100 Continue`, pipelined requests), the request takes the usual path and `ConcurrencyLimiter`
refuses it. With Uvicorn before 0.45, which has no `_start_asgi_task`, every request does.
"""

import random
from time import monotonic
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from aiapi_runtime.limits.connection import WholeRequestProtocol
from aiapi_runtime.limits.middleware import BODY, CONTENT, LENGTH, RETRY_AFTER, ConcurrencyLimiter
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.requests import App, ResponseHook

_Headers = list[tuple[bytes, bytes]]


class EarlyRejection:
    """One per worker, for all its connections."""

    def __init__(
        self, limiter: ConcurrencyLimiter, counters: RequestCounters, closer: ResponseHook
    ) -> None:
        self._limiter = limiter
        self._counters = counters
        self._closer = closer
        self._headers: _Headers | None = None
        self._responses: list[bytes] = []

    def applies_to(self, cycle: RequestResponseCycle) -> bool:
        scope: Any = cycle.scope
        if not self._limiter.would_refuse(scope):
            return False
        plain = (
            cycle.keep_alive
            and not cycle.waiting_for_100_continue
            and not cycle.access_log
            and scope["method"] != "HEAD"
        )
        return plain and not self._closer.active

    def response(self, default_headers: _Headers) -> bytes:
        """A whole response, prepared once per new date header."""
        if default_headers is not self._headers:
            self._headers = default_headers
            self._responses = [_prepare(default_headers, seconds) for seconds in RETRY_AFTER]
        self._counters.count_refused(monotonic())
        return random.choice(self._responses)  # noqa: S311 - spreads retries, hides nothing


class RejectingProtocol(WholeRequestProtocol):
    """A connection that checks for early rejection before it calls the app."""

    early_rejection: EarlyRejection

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: App) -> None:  # type: ignore[override]  # Uvicorn types an app by the message
        # Some versions of Uvicorn leave `Connection: close` of a request out of `cycle.keep_alive`.
        closes = not self.parser.should_keep_alive()
        if self.pipeline or closes or not self.early_rejection.applies_to(cycle):
            super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]  # see above
            return
        cycle.response_started = cycle.response_complete = True
        self.transport.write(self.early_rejection.response(self.server_state.default_headers))
        self.on_response_complete()


def rejecting_protocol(early_rejection: EarlyRejection) -> type[RejectingProtocol]:
    """The class of a worker's connections."""
    return type("RejectingProtocol", (RejectingProtocol,), {"early_rejection": early_rejection})


def _prepare(defaults: _Headers, seconds: bytes) -> bytes:
    headers = [*defaults, CONTENT, LENGTH, (b"retry-after", seconds)]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 503 Service Unavailable\r\n" + lines + b"\r\n" + BODY
