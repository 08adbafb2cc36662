"""Refuses what the limit has no room for as soon as its head is read: no task, no app, one write.

Under overload most requests are refused, so what one costs decides how much of the worker is left
for the others. A request whose connection has to be treated with care (its last request, one that
waits for `100 Continue`, others behind it) goes the usual way, and `ConcurrencyLimiter` refuses it.
"""

import random
from time import monotonic
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from aiapi_runtime.limits.connection import WholeRequestProtocol
from aiapi_runtime.limits.middleware import BODY, CONTENT, LENGTH, RETRY_AFTER, ConcurrencyLimiter
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.requests import App, AtStart

_Headers = list[tuple[bytes, bytes]]


class EarlyRejection:
    """One a worker, for all its connections."""

    def __init__(
        self,
        limiter: ConcurrencyLimiter,
        counters: RequestCounters,
        closer: AtStart,
        state: ServerState,
    ) -> None:
        self._limiter = limiter
        self._counters = counters
        self._closer = closer
        self._state = state
        self._headers: _Headers | None = None
        self._answers: list[bytes] = []

    def refuses(self, cycle: RequestResponseCycle) -> bool:
        scope: Any = cycle.scope
        if not self._limiter.hopeless(scope):
            return False
        plain = (
            cycle.keep_alive
            and not cycle.waiting_for_100_continue
            and not cycle.access_log
            and scope["method"] != "HEAD"
        )
        return plain and not self._closer.active

    def answer(self) -> bytes:
        """A whole response, made anew when the date is."""
        headers = self._state.default_headers
        if headers is not self._headers:
            self._headers = headers
            self._answers = [_answer(headers, seconds) for seconds in RETRY_AFTER]
        self._counters.refused(monotonic())
        return random.choice(self._answers)  # noqa: S311 - spreads, hides nothing


class EarlyRejectionProtocol(WholeRequestProtocol):
    """A connection with the early_rejection before the app."""

    early_rejection: EarlyRejection

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: App) -> None:  # type: ignore[override]  # Uvicorn types an app by the message
        if self.pipeline or not self.early_rejection.refuses(cycle):
            super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]  # see above
            return
        cycle.response_started = cycle.response_complete = True
        self.transport.write(self.early_rejection.answer())
        self.on_response_complete()


def protocol(early_rejection: EarlyRejection) -> type[EarlyRejectionProtocol]:
    """The class of a worker's connections."""
    return type(
        "EarlyRejectionProtocol", (EarlyRejectionProtocol,), {"early_rejection": early_rejection}
    )


def _answer(defaults: _Headers, seconds: bytes) -> bytes:
    headers = [*defaults, CONTENT, LENGTH, (b"retry-after", seconds)]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 503 Service Unavailable\r\n" + lines + b"\r\n" + BODY
