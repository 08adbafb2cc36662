"""The limit around an app: requests beyond it are refused early, at a fraction of their cost.

A refusal is a 503 with Retry-After, counted as `shed`. Retry-After varies, so that clients that
were refused together do not come back together.

A request frees its place only after the loop has made a full pass. Otherwise an app that never
awaits would finish one request before the next is read, and would seem to have one open, however
many wait in the loop. For the same reason, requests that `EarlyRejection` has let through but that
have not reached this wrapper count as open.
"""

import asyncio
import random
from collections.abc import Awaitable
from time import monotonic

from aiapi_runtime.limits.adaptive import AdaptiveLimit, LimitWindow
from aiapi_runtime.limits.gate import Gate
from aiapi_runtime.limits.priority import Priority, current_classifier
from aiapi_runtime.telemetry.clock import LoopClock
from aiapi_runtime.telemetry.requests import App, Message, Receive, Scope, Send, shed

_WINDOW_SECONDS = 0.1
_FIXED_WAIT_SECONDS = 0.1
# The wait in the queue: a share of the usual time of a request, within bounds.
_WAIT_SHARE, _MIN_WAIT, _MAX_WAIT = 0.25, 0.005, 0.5
RETRY_AFTER = (b"1", b"2", b"3")
_ARRIVING = "aiapi.arriving"
BODY = b'{"detail":"the worker is at its limit of open requests; retry later"}'
CONTENT = (b"content-type", b"application/json")
LENGTH = (b"content-length", b"%d" % len(BODY))


class ConcurrencyLimiter:
    """`limit` is "auto" or a number of requests."""

    def __init__(self, app: App, limit: str, clock: LoopClock) -> None:
        self._app = app
        self._clock = clock
        self._adaptive = AdaptiveLimit() if limit == "auto" else None
        self.gate = Gate(int(self._adaptive.limit) if self._adaptive else int(limit))
        self._max_wait = _FIXED_WAIT_SECONDS
        self._seconds = 0.0
        self._answered = 0
        self._window_open = False
        self._before = (0.0, 0.0)

    def would_refuse(self, scope: Scope) -> bool:
        """Whether a new request would be refused; otherwise it is counted as arriving."""
        try:
            priority = current_classifier()(scope)
        except Exception:  # noqa: BLE001 - the app's own; on the usual path it is the request's error
            return False
        if priority is Priority.EXEMPT:
            return False
        if self.gate.is_full(priority):
            return True
        self.gate.arriving += 1
        scope[_ARRIVING] = True
        return False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.pop(_ARRIVING, False):
            self.gate.arriving -= 1
        priority = current_classifier()(scope)
        if priority is Priority.EXEMPT:
            await self._app(scope, receive, send)
            return
        if self._adaptive is not None and not self._window_open:
            self._begin_window()
        if self.gate.try_enter(priority) or await self._wait_in_queue(priority):
            await self._serve(scope, receive, send)
        else:
            await _refuse(send)

    async def _wait_in_queue(self, priority: Priority) -> bool:
        place = self.gate.enqueue(priority)
        if place is None:
            return False
        timer = asyncio.get_running_loop().call_later(self._max_wait, _expire, place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.gate.leave()
            raise
        finally:
            timer.cancel()
            self.gate.abandon(place)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = monotonic()
        first = 0.0

        def noted(message: Message) -> Awaitable[None]:
            nonlocal first
            if not first and message.get("more_body"):
                first = monotonic()
            return send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            asyncio.get_running_loop().call_soon(self._ended, started, first)

    def _ended(self, started: float, first: float) -> None:
        # The length of a stream depends on its content; the time to its start shows the queueing.
        self._seconds += (first or monotonic()) - started
        self._answered += 1
        self.gate.leave()

    def _begin_window(self) -> None:
        self._window_open = True
        self._before = self._clock.read()
        self._seconds, self._answered, self.gate.peak = 0.0, 0, self.gate.open
        asyncio.get_running_loop().call_later(_WINDOW_SECONDS, self._end_window)

    def _end_window(self) -> None:
        assert self._adaptive is not None  # noqa: S101 - only an adaptive limit has windows
        loop_seconds, wall = self._clock.read()
        passed = max(wall - self._before[1], 1e-9)
        self._adaptive.update(
            LimitWindow(
                latency=self._seconds / max(1, self._answered),
                answered=self._answered,
                peak=self.gate.peak,
                busy=(loop_seconds - self._before[0]) / passed,
            )
        )
        self.gate.limit = int(self._adaptive.limit)
        self._max_wait = min(_MAX_WAIT, max(_MIN_WAIT, _WAIT_SHARE * self._adaptive.base))
        self.gate.admit_queued()
        self._window_open = False
        if self.gate.open:
            self._begin_window()


def _expire(place: asyncio.Future[bool]) -> None:
    if not place.done():
        place.set_result(False)


async def _refuse(send: Send) -> None:
    shed()
    seconds = random.choice(RETRY_AFTER)  # noqa: S311 - spreads retries, hides nothing
    headers = [CONTENT, LENGTH, (b"retry-after", seconds)]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})
