"""Counts every request of a worker, as a pure ASGI wrapper around the user's app.

It runs for each request of each worker, so it does little: one small object and one closure a
request, sums in plain Python, one bisection. All that is rare is in functions of its own.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, Protocol

from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.layout import BOUNDS, COARSE, Cell

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Plain integers: an attribute of an enum costs more than all the rest of an addition.
_SUCCESS, _CLIENT_ERROR = int(Cell.SUCCESS), int(Cell.CLIENT_ERROR)
_SERVER_ERROR, _CANCELLED, _SHED = int(Cell.SERVER_ERROR), int(Cell.CANCELLED), int(Cell.SHED)
_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto")


class CurrentRequest:
    """What its own tasks know of a request; they share it through the context.

    Defaults lie in the class and there is no __init__: most requests never write to theirs.
    """

    counters: RequestCounters
    scope: Scope
    calls = 0
    over = False
    shed = False
    id = ""
    trace = b""


current: ContextVar[CurrentRequest | None] = ContextVar("aiapi_request", default=None)


def shed() -> None:
    """Mark the request that is being answered as refused on purpose (overload), not as failed."""
    request = current.get()
    if request is not None:
        request.shed = True


class UpstreamCall:
    """One wait for something outside. Calls side by side in one request count once in time."""

    __slots__ = ("_request",)

    def __init__(self) -> None:
        request = current.get()
        self._request = request
        if request is None or request.over:
            self._request = None
            return
        request.calls += 1
        if request.calls == 1:
            request.counters.upstream(+1)

    def end(self) -> None:
        """May be called again: a stream can be both exhausted and closed."""
        request, self._request = self._request, None
        if request is None or request.over:
            return
        request.calls -= 1
        if request.calls == 0:
            request.counters.upstream(-1)


@contextmanager
def upstream() -> Iterator[None]:
    """Time inside counts as waiting: `with upstream(): row = await pool.fetch(...)`."""
    call = UpstreamCall()
    try:
        yield
    finally:
        call.end()


class AtStart(Protocol):
    """Sees each response before its headers while it is active."""

    active: bool

    def at_start(self, receive: Receive) -> None: ...


class _Never:
    active = False

    def at_start(self, receive: Receive) -> None:
        """Nobody asked."""


def count_requests(  # noqa: C901, PLR0915 - one closure: each call or object more costs every request
    app: App,
    counters: RequestCounters,
    *,
    forwarded: App | None = None,
    other: App | None = None,
    closer: AtStart | None = None,
) -> App:
    """The wrapper.

    `forwarded` is the app for requests with a proxy's headers; `other` gets all but HTTP.
    """
    watcher = closer or _Never()
    for_proxied, for_other = forwarded or app, other or app
    outcomes, whole = counters.outcomes, counters.whole
    # A class attribute costs a request nothing; one of its own would.
    new_request: type[CurrentRequest] = type(
        "CurrentRequest", (CurrentRequest,), {"counters": counters}
    )

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: C901 - see above
        if scope["type"] != "http":
            await for_other(scope, receive, send)
            return
        request = new_request()
        request.scope = scope
        current.set(request)
        began = monotonic()
        counters.begun += 1
        counters.moments -= began
        if counters.clean:
            counters.touch(began)
        status = 0
        first = 0.0

        def observed(message: Message) -> Awaitable[None]:
            nonlocal status, first
            if not status:
                status = message.get("status", 0)
                if watcher.active:
                    watcher.at_start(receive)
            elif not first and message.get("more_body") and message.get("body"):
                first = monotonic()
            return send(message)

        target = app
        for name, _ in scope["headers"]:
            if name in _FORWARDED:
                target = for_proxied
        try:
            await target(scope, receive, observed)
        except BaseException as error:
            stopped = _SERVER_ERROR if isinstance(error, Exception) else _CANCELLED
            _finish(request, _rare(request, receive, stopped), began, first)
            raise
        try:
            # Uvicorn's request cycle knows; asking it is cheaper than wrapping every receive().
            left = receive.__self__.disconnected  # type: ignore[attr-defined]
        except AttributeError:
            left = False
        rare = left or first or request.shed or request.calls or request.trace
        if rare or not 0 < status < 500:
            _finish(request, _rare(request, receive, _outcome(status)), began, first)
            return
        request.over = True
        now = monotonic()
        counters.moments += now
        took = now - began
        counters.seconds += took
        outcomes[status >= 400] += 1
        whole[bisect_left(BOUNDS, took)] += 1
        if counters.clean:
            # It may write at once, so all of the request must have been counted.
            counters.touch(now)

    return counted


def _outcome(status: int) -> int:
    if 0 < status < 400:
        return _SUCCESS
    if 400 <= status < 500:
        return _CLIENT_ERROR
    return _SERVER_ERROR


def _rare(request: CurrentRequest, receive: Receive, outcome: int) -> int:
    """The outcome, unless what the status does not show decides it."""
    if request.shed:
        return _SHED
    cycle = getattr(receive, "__self__", None)
    left = getattr(cycle, "disconnected", False) is True and not _has_all(cycle)
    return _CANCELLED if left else outcome


def _has_all(cycle: Any) -> bool:
    """Whether the client had all of the body that it was promised: it need not wait for the app.

    A WSGI app says that a body has ended when its thread has come round, after the last of it.
    """
    sent = getattr(cycle, "response_started", False) and not getattr(
        cycle, "chunked_encoding", True
    )
    return bool(sent) and getattr(cycle, "expected_content_length", 1) == 0


def _finish(request: CurrentRequest, outcome: int, began: float, first: float) -> None:
    """The end of a request that was not simply answered in one piece."""
    counters = request.counters
    if request.calls:
        counters.upstream(-1)
    request.over = True
    now = monotonic()
    counters.moments += now
    counters.outcomes[outcome] += 1
    if outcome <= _CLIENT_ERROR:
        took = now - began
        counters.last_seconds += took
        bucket = bisect_left(BOUNDS, took)
        counters.ended[bucket] += 1
        if request.trace:
            counters.exemplars[bucket // COARSE] = request.trace, took
        took = (first or now) - began
        counters.first_seconds += took
        counters.began[bisect_left(BOUNDS, took)] += 1
    if counters.clean:
        counters.touch(now)
