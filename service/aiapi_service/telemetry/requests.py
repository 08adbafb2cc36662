"""Counts every request of a worker, as a pure ASGI wrapper around the user's app.

It runs for each request of each worker, so it does little: one object a request, plain stores into
shared memory, a bisection per histogram.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any

from aiapi_service.telemetry.layout import BOUNDS, Cell

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Plain integers: an attribute of an enum costs more than all the rest of a store.
_SUCCESS, _CLIENT_ERROR = int(Cell.SUCCESS), int(Cell.CLIENT_ERROR)
_SERVER_ERROR, _CANCELLED, _SHED = int(Cell.SERVER_ERROR), int(Cell.CANCELLED), int(Cell.SHED)
_IN_FLIGHT, _IN_FLIGHT_SECONDS = int(Cell.IN_FLIGHT), int(Cell.IN_FLIGHT_SECONDS)
_IN_FLIGHT_AT = int(Cell.IN_FLIGHT_AT)
_UPSTREAM_OPEN, _UPSTREAM_SECONDS = int(Cell.UPSTREAM_OPEN), int(Cell.UPSTREAM_SECONDS)
_UPSTREAM_AT = int(Cell.UPSTREAM_AT)
_LATENCY, _LATENCY_SUM = int(Cell.LATENCY), int(Cell.LATENCY_SUM)
_TTFB, _TTFB_SUM = int(Cell.TTFB), int(Cell.TTFB_SUM)


class _Request:
    """What its own tasks know of a request; they share it through the context.

    Defaults lie in the class and there is no __init__: most requests never write to theirs.
    """

    numbers: "memoryview[float]"
    calls = 0
    over = False
    shed = False


_current: ContextVar[_Request | None] = ContextVar("aiapi_request", default=None)


def shed() -> None:
    """Mark the request that is being answered as refused on purpose (overload), not as failed."""
    request = _current.get()
    if request is not None:
        request.shed = True


def _count_upstream(numbers: "memoryview[float]", change: int) -> None:
    now = monotonic()
    waiting = numbers[_UPSTREAM_OPEN]
    numbers[_UPSTREAM_SECONDS] += waiting * (now - numbers[_UPSTREAM_AT])
    numbers[_UPSTREAM_AT] = now
    numbers[_UPSTREAM_OPEN] = waiting + change


class UpstreamCall:
    """One wait for something outside. Calls side by side in one request count once in time."""

    __slots__ = ("_request",)

    def __init__(self) -> None:
        request = _current.get()
        self._request = request
        if request is None or request.over:
            self._request = None
            return
        request.calls += 1
        if request.calls == 1:
            _count_upstream(request.numbers, +1)

    def end(self) -> None:
        """May be called again: a stream can be both exhausted and closed."""
        request, self._request = self._request, None
        if request is None or request.over:
            return
        request.calls -= 1
        if request.calls == 0:
            _count_upstream(request.numbers, -1)


@contextmanager
def upstream() -> Iterator[None]:
    """Time inside counts as waiting: `with upstream(): row = await pool.fetch(...)`."""
    call = UpstreamCall()
    try:
        yield
    finally:
        call.end()


class CountRequests:
    """The wrapper. `at_start` sees each response before its headers; `other` gets all but HTTP."""

    def __init__(
        self,
        app: App,
        numbers: "memoryview[float]",
        *,
        at_start: Callable[[Receive], None] | None = None,
        other: App | None = None,
    ) -> None:
        self.app = app
        self.other = other or app
        self.numbers = numbers
        self.at_start = at_start
        # A class attribute costs a request nothing; one of its own would.
        self._request: type[_Request] = type("_Request", (_Request,), {"numbers": numbers})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.other(scope, receive, send)
            return
        numbers = self.numbers
        request = self._request()
        _current.set(request)
        began = monotonic()
        in_flight = numbers[_IN_FLIGHT]
        numbers[_IN_FLIGHT_SECONDS] += in_flight * (began - numbers[_IN_FLIGHT_AT])
        numbers[_IN_FLIGHT_AT] = began
        numbers[_IN_FLIGHT] = in_flight + 1
        status = 0
        first = 0.0

        def observed(message: Message) -> Awaitable[None]:
            nonlocal status, first
            if not status:
                status = message.get("status", 0)
                if self.at_start is not None:
                    self.at_start(receive)
            elif not first and message.get("more_body") and message.get("body"):
                first = monotonic()
            return send(message)

        outcome = _SERVER_ERROR
        try:
            await self.app(scope, receive, observed)
            outcome = _outcome(status)
        except Exception:
            raise
        except BaseException:
            outcome = _CANCELLED
            raise
        finally:
            if request.shed:
                outcome = _SHED
            elif _client_left(receive):
                outcome = _CANCELLED
            _finish(request, outcome, began, first)


def _outcome(status: int) -> int:
    if 0 < status < 400:
        return _SUCCESS
    if 400 <= status < 500:
        return _CLIENT_ERROR
    return _SERVER_ERROR


def _client_left(receive: Receive) -> bool:
    # Uvicorn's request cycle knows; asking it is cheaper than wrapping every receive().
    try:
        return receive.__self__.disconnected is True  # type: ignore[attr-defined]
    except AttributeError:
        return False


def _finish(request: _Request, outcome: int, began: float, first: float) -> None:
    numbers = request.numbers
    if request.calls:
        _count_upstream(numbers, -1)
    request.over = True
    now = monotonic()
    in_flight = numbers[_IN_FLIGHT]
    numbers[_IN_FLIGHT_SECONDS] += in_flight * (now - numbers[_IN_FLIGHT_AT])
    numbers[_IN_FLIGHT_AT] = now
    numbers[_IN_FLIGHT] = in_flight - 1
    numbers[outcome] += 1
    if outcome <= _CLIENT_ERROR:
        took = now - began
        bucket = bisect_left(BOUNDS, took)
        numbers[_LATENCY + bucket] += 1
        numbers[_LATENCY_SUM] += took
        if first:
            # A body in one piece has its first byte when it has its last.
            took = first - began
            bucket = bisect_left(BOUNDS, took)
        numbers[_TTFB + bucket] += 1
        numbers[_TTFB_SUM] += took
