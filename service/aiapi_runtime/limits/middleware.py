"""The limit around an app: what is over it is refused at once, for a fraction of serving it.

A refusal is a 503 with Retry-After, counted as `shed`. Retry-After varies, so that those who were
refused together do not come back together.

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
from aiapi_runtime.limits.priority import Priority, chosen
from aiapi_runtime.telemetry.clock import LoopClock
from aiapi_runtime.telemetry.requests import App, Message, Receive, Scope, Send, shed

_WINDOW_SECONDS = 0.1
_FIXED_WAIT_SECONDS = 0.1
# A part of what a request takes anyway; and bounded, where that is next to nothing or very much.
_WAIT_SHARE, _SHORTEST_WAIT, _LONGEST_WAIT = 0.25, 0.005, 0.5
RETRY_AFTER = (b"1", b"2", b"3")
_COMING = "aiapi.coming"
BODY = b'{"detail":"this worker has all the requests it can serve; try again"}'
CONTENT = (b"content-type", b"application/json")
LENGTH = (b"content-length", b"%d" % len(BODY))


class ConcurrencyLimiter:
    """`limit` is "auto" or a number of requests."""

    def __init__(self, app: App, limit: str, clock: LoopClock) -> None:
        self._app = app
        self._clock = clock
        self._adaptive = AdaptiveLimit() if limit == "auto" else None
        self.gate = Gate(int(self._adaptive.limit) if self._adaptive else int(limit))
        self._wait = _FIXED_WAIT_SECONDS
        self._seconds = 0.0
        self._answered = 0
        self._ticking = False
        self._before = (0.0, 0.0)

    def hopeless(self, scope: Scope) -> bool:
        """Whether a request that has just come has no room; one that may have it is on its way."""
        try:
            priority = chosen()(scope)
        except Exception:  # noqa: BLE001 - an app's own; on the usual way it is told as its error
            return False
        if priority is Priority.EXEMPT:
            return False
        if self.gate.hopeless(priority):
            return True
        self.gate.coming += 1
        scope[_COMING] = True
        return False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.pop(_COMING, False):
            self.gate.coming -= 1
        priority = chosen()(scope)
        if priority is Priority.EXEMPT:
            await self._app(scope, receive, send)
            return
        if self._adaptive is not None and not self._ticking:
            self._begin_window()
        if self.gate.enter(priority) or await self._queued(priority):
            await self._serve(scope, receive, send)
        else:
            await _refuse(send)

    async def _queued(self, priority: Priority) -> bool:
        place = self.gate.queue(priority)
        if place is None:
            return False
        timer = asyncio.get_running_loop().call_later(self._wait, _expire, place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.gate.leave()
            raise
        finally:
            timer.cancel()
            self.gate.gone(place)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = monotonic()
        first = 0.0

        def noted(message: Message) -> Awaitable[None]:
            nonlocal first
            if not first and message.get("more_body"):
                first = monotonic()
            return send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            asyncio.get_running_loop().call_soon(self._left, began, first)

    def _left(self, began: float, first: float) -> None:
        # A stream lasts as long as it has something to say; how soon it begins shows the queueing.
        self._seconds += (first or monotonic()) - began
        self._answered += 1
        self.gate.leave()

    def _begin_window(self) -> None:
        self._ticking = True
        self._before = self._clock.read()
        self._seconds, self._answered, self.gate.peak = 0.0, 0, self.gate.open
        asyncio.get_running_loop().call_later(_WINDOW_SECONDS, self._end_window)

    def _end_window(self) -> None:
        assert self._adaptive is not None  # noqa: S101 - there are windows for it alone
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
        self._wait = min(_LONGEST_WAIT, max(_SHORTEST_WAIT, _WAIT_SHARE * self._adaptive.base))
        self.gate.admit()
        self._ticking = False
        if self.gate.open:
            self._begin_window()


def _expire(place: asyncio.Future[bool]) -> None:
    if not place.done():
        place.set_result(False)


async def _refuse(send: Send) -> None:
    shed()
    later = random.choice(RETRY_AFTER)  # noqa: S311 - spreads, hides nothing
    headers = [CONTENT, LENGTH, (b"retry-after", later)]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})
