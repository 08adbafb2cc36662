"""Counts every request of a worker, as a pure ASGI wrapper around the user's app.

It runs for each request, so it does little: one small object and one closure per request, sums in
plain Python, one bisection. Rare cases are in separate functions.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, Protocol

from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.idleness import AGENT, PROBE_AGENTS, IgnoredPaths, is_ignored
from aiapi_runtime.telemetry.layout import BOUNDS, COARSE, Cell

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Plain integers: an attribute of an enum costs more than the whole addition.
_SUCCESS, _CLIENT_ERROR = int(Cell.SUCCESS), int(Cell.CLIENT_ERROR)
_SERVER_ERROR, _CANCELLED, _SHED = int(Cell.SERVER_ERROR), int(Cell.CANCELLED), int(Cell.SHED)
_WATCHED = frozenset((b"x-forwarded-for", b"x-forwarded-proto", AGENT))


class CurrentRequest:
    """The state of a request; its tasks share it through the context.

    Defaults are in the class and there is no __init__: most requests never write to theirs.
    """

    counters: RequestCounters
    scope: Scope
    calls = 0
    over = False
    shed = False
    ignored = False
    id = ""
    trace = b""


current: ContextVar[CurrentRequest | None] = ContextVar("aiapi_request", default=None)


def shed() -> None:
    """Mark the current request as refused on purpose (overload), not as failed."""
    request = current.get()
    if request is not None:
        request.shed = True


class UpstreamCall:
    """One wait for an upstream. The time of concurrent calls of one request counts once."""

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


class ResponseHook(Protocol):
    """May change the head of each response while it is active."""

    active: bool

    def before_headers(self, message: Message, receive: Receive) -> Message: ...


class _NoHook:
    active = False

    def before_headers(self, message: Message, receive: Receive) -> Message:  # noqa: ARG002 - as in the protocol
        return message


def count_requests(  # noqa: C901, PLR0913, PLR0915 - one closure: each call or object more costs every request
    app: App,
    counters: RequestCounters,
    *,
    forwarded: App | None = None,
    other: App | None = None,
    hook: ResponseHook | None = None,
    ignored_paths: IgnoredPaths | None = None,
) -> App:
    """The wrapper.

    `forwarded` gets requests with a proxy's headers; `other` gets all that is not HTTP.
    """
    unused = ignored_paths or IgnoredPaths()
    unused_paths, unused_prefixes = unused.exact, unused.prefixes
    watcher = hook or _NoHook()
    for_forwarded, for_other = forwarded or app, _count_websockets(other or app, counters, unused)
    outcomes, unary = counters.outcomes, counters.unary
    # A class attribute costs a request nothing; an instance attribute would.
    new_request: type[CurrentRequest] = type(
        "CurrentRequest", (CurrentRequest,), {"counters": counters}
    )

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: C901, PLR0912, PLR0915 - see above
        if scope["type"] != "http":
            await for_other(scope, receive, send)
            return
        path = scope["path"]
        ignored = path in unused_paths or path.startswith(unused_prefixes)
        target = app
        for name, value in scope["headers"]:
            if name in _WATCHED:
                if name != AGENT:
                    target = for_forwarded
                elif value.startswith(PROBE_AGENTS):
                    ignored = True
        request = new_request()
        request.scope = scope
        if ignored:
            request.ignored = True
            counters.ignored_open += 1
        current.set(request)
        started = monotonic()
        counters.started += 1
        counters.moments -= started
        if counters.clean:
            counters.schedule_write(started)
        status = 0
        first = 0.0

        def observed(message: Message) -> Awaitable[None]:
            nonlocal status, first
            if not status:
                status = message.get("status", 0)
                if watcher.active:
                    message = watcher.before_headers(message, receive)
            elif not first and message.get("more_body") and message.get("body"):
                first = monotonic()
                counters.begin_stream(first, first - started, good=status < 500)
            return send(message)

        try:
            await target(scope, receive, observed)
        except BaseException as error:
            stopped = _SERVER_ERROR if isinstance(error, Exception) else _CANCELLED
            _finish(request, _rare(request, receive, stopped), started, first)
            raise
        try:
            # Uvicorn's request cycle knows; asking it is cheaper than wrapping every receive().
            disconnected = receive.__self__.disconnected  # type: ignore[attr-defined]
        except AttributeError:
            disconnected = False
        rare = disconnected or first or request.shed or request.calls or request.trace
        if rare or not 0 < status < 500:
            _finish(request, _rare(request, receive, _outcome(status)), started, first)
            return
        request.over = True
        now = monotonic()
        counters.moments += now
        if ignored:
            counters.ignored_open -= 1
        else:
            counters.used_at = now
        seconds = now - started
        counters.unary_seconds += seconds
        outcomes[status >= 400] += 1
        unary[bisect_left(BOUNDS, seconds)] += 1
        if counters.clean:
            # This may write right away, so the whole request must have been counted.
            counters.schedule_write(now)

    return counted


def _count_websockets(app: App, counters: RequestCounters, unused: IgnoredPaths) -> App:
    """Counts WebSockets while they are open; the lifespan passes uncounted."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await app(scope, receive, send)
            return
        ignored = is_ignored(scope, unused)
        counters.websockets += 1
        counters.ignored_open += ignored
        if counters.clean:
            counters.schedule_write(monotonic())
        try:
            await app(scope, receive, send)
        finally:
            counters.websockets -= 1
            counters.ignored_open -= ignored
            if not ignored:
                counters.used_at = monotonic()

    return counted


def _outcome(status: int) -> int:
    if 0 < status < 400:
        return _SUCCESS
    if 400 <= status < 500:
        return _CLIENT_ERROR
    return _SERVER_ERROR


def _rare(request: CurrentRequest, receive: Receive, outcome: int) -> int:
    """The outcome, unless something that the status does not show decides it."""
    if request.shed:
        return _SHED
    cycle = getattr(receive, "__self__", None)
    disconnected = getattr(cycle, "disconnected", False) is True
    return _CANCELLED if disconnected and not _has_whole_body(cycle) else outcome


def _has_whole_body(cycle: Any) -> bool:
    """Whether the client got all of the promised body, so that it need not wait for the app.

    A WSGI app reports the end of a body only when its thread runs again, after the last chunk.
    """
    sent = getattr(cycle, "response_started", False) and not getattr(
        cycle, "chunked_encoding", True
    )
    return bool(sent) and getattr(cycle, "expected_content_length", 1) == 0


def _finish(request: CurrentRequest, outcome: int, started: float, first: float) -> None:
    """The end of a request that was not simply answered in one piece."""
    counters = request.counters
    if request.calls:
        counters.upstream(-1)
    if first:
        counters.streams -= 1
    request.over = True
    now = monotonic()
    counters.moments += now
    if request.ignored:
        counters.ignored_open -= 1
    else:
        counters.used_at = now
    counters.outcomes[outcome] += 1
    if outcome <= _CLIENT_ERROR:
        seconds = now - started
        counters.streamed_seconds += seconds
        bucket = bisect_left(BOUNDS, seconds)
        counters.streamed[bucket] += 1
        if request.trace:
            counters.exemplars[bucket // COARSE] = request.trace, seconds
        if not first:
            counters.count_first_byte(seconds)
    if counters.clean:
        counters.schedule_write(now)
