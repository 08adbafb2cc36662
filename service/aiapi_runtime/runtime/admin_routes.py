"""The ASGI app of the admin port: probes, metrics, the operator's scrape, and the worker count."""

import asyncio
import contextlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiapi_runtime.telemetry.requests import App, Receive, Scope, Send
from aiapi_runtime.telemetry.stats import LONGEST_WAIT

_BODY_LIMIT = 1024
_BODY_SECONDS = 5.0
_SHORT = b"histograms=short"
_ANY_WORKER = b"workers=any"


class AdminBackend(Protocol):
    """What the admin port needs from the supervisor. `metrics` waits for a thread, and `rest` while
    there is nothing to do."""

    def live(self) -> str: ...
    def ready(self) -> str: ...
    def serves(self) -> str: ...
    async def metrics(self, accept: str) -> tuple[str, bytes]: ...
    async def rest(self, requests: int | None, seconds: float) -> None: ...
    def stats(self, *, short: bool) -> dict[str, Any]: ...
    def status(self) -> dict[str, Any]: ...
    def resize(self, count: int) -> dict[str, int]: ...

    @property
    def max_workers(self) -> int: ...


class Token:
    """The bearer token, from the environment or from a file that may be replaced at any time."""

    def __init__(self, value: str, file: str) -> None:
        self._value = value
        self._file = file

    def read(self) -> bytes:
        if not self._file:
            return self._value.strip().encode()
        with contextlib.suppress(OSError):
            return Path(self._file).read_bytes().strip()
        return b""

    def allows(self, header: str) -> bool:
        scheme, _, given = header.partition(" ")
        token = self.read()
        same = hmac.compare_digest(given.strip().encode(), token)
        return bool(token) and scheme.lower() == "bearer" and same


@dataclass(frozen=True)
class AdminResponse:
    """A whole response."""

    body: bytes
    content_type: str
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send_to(self, send: Send) -> None:
        headers = [
            *self.headers,
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", self.content_type.encode("latin-1")),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


Handler = Callable[[Scope, Receive], Awaitable[AdminResponse]]


@dataclass(frozen=True)
class Route:
    """What one path does, with which methods."""

    methods: tuple[str, ...]
    handler: Handler


class ClientGoneError(Exception):
    """The client has closed its connection before the end of its request."""


def build(backend: AdminBackend, token: Token) -> App:
    """The app; its routes without a token check are those that a kubelet or Prometheus calls."""
    handlers = _Handlers(backend)
    read, change = ("GET", "HEAD"), ("PUT",)
    routes = {
        "/livez": Route(read, handlers.livez),
        "/readyz": Route(read, handlers.readyz),
        "/metrics": Route(read, handlers.metrics),
        "/stats": Route(read, _guarded(token, handlers.stats)),
        "/status": Route(read, _guarded(token, handlers.status)),
        "/workers": Route(change, _guarded(token, handlers.workers)),
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(ClientGoneError):
            response = await _dispatch(routes, scope, receive)
            await response.send_to(send)

    return app


async def _dispatch(routes: Mapping[str, Route], scope: Scope, receive: Receive) -> AdminResponse:
    path = scope["path"]
    route = routes.get(path.rstrip("/"))
    if route is None:
        return _text("Not Found", 404)
    if scope["method"] not in route.methods:
        allow = ", ".join(route.methods).encode()
        return _text("Method Not Allowed", 405, (b"allow", allow))
    return await route.handler(scope, receive)


def _guarded(token: Token, handler: Handler) -> Handler:
    async def checked(scope: Scope, receive: Receive) -> AdminResponse:
        if not token.read():
            return _problem(
                403, "no admin token is set: use --admin-token-file or AIAPI_ADMIN_TOKEN"
            )
        if not token.allows(_header(scope, b"authorization")):
            detail = "the bearer token is missing or wrong"
            return _problem(401, detail, (b"www-authenticate", b"Bearer"))
        return await handler(scope, receive)

    return checked


class _Handlers:
    """One per route."""

    def __init__(self, backend: AdminBackend) -> None:
        self._backend = backend

    async def livez(self, _: Scope, __: Receive) -> AdminResponse:
        return _probe(self._backend.live())

    async def readyz(self, scope: Scope, _: Receive) -> AdminResponse:
        any_worker = _asks(scope, _ANY_WORKER)
        return _probe(self._backend.serves() if any_worker else self._backend.ready())

    async def metrics(self, scope: Scope, _: Receive) -> AdminResponse:
        content_type, text = await self._backend.metrics(_header(scope, b"accept"))
        return AdminResponse(text, content_type)

    async def stats(self, scope: Scope, _: Receive) -> AdminResponse:
        try:
            wait, requests = _number(scope, "wait", LONGEST_WAIT), _number(scope, "requests")
        except ValueError as error:
            return _problem(422, str(error))
        if wait:
            await self._backend.rest(requests, wait)
        return _json(self._backend.stats(short=_asks(scope, _SHORT)))

    async def status(self, _: Scope, __: Receive) -> AdminResponse:
        return _json(self._backend.status())

    async def workers(self, _: Scope, receive: Receive) -> AdminResponse:
        try:
            body = await asyncio.wait_for(_body(receive), _BODY_SECONDS)
            count = _count(body, self._backend.max_workers)
        except ValueError as error:
            return _problem(422, str(error))
        except asyncio.TimeoutError:
            return _problem(408, "the body did not arrive in time")
        return _json(self._backend.resize(count))


def _probe(reason: str) -> AdminResponse:
    return _text(reason or "ok", 503 if reason else 200)


def _problem(status: int, detail: str, *headers: tuple[bytes, bytes]) -> AdminResponse:
    return _json({"detail": detail}, status, *headers)


def _text(text: str, status: int, *headers: tuple[bytes, bytes]) -> AdminResponse:
    body = text.encode("utf-8", "replace")
    return AdminResponse(body, "text/plain; charset=utf-8", status, headers)


def _json(
    data: Mapping[str, Any], status: int = 200, *headers: tuple[bytes, bytes]
) -> AdminResponse:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return AdminResponse(text.encode("utf-8", "replace"), "application/json", status, headers)


def _asks(scope: Scope, wanted: bytes) -> bool:
    return wanted in scope.get("query_string", b"").split(b"&")


def _number(scope: Scope, name: str, maximum: int = 2**53) -> int | None:
    """A whole number in the query; None if it is not there."""
    start = f"{name}=".encode()
    parts: list[bytes] = scope.get("query_string", b"").split(b"&")
    text = next((part[len(start) :] for part in parts if part.startswith(start)), None)
    if text is None:
        return None
    # More digits than the maximum are not converted: that takes quadratic time.
    if not text.isdigit() or len(text) > len(str(maximum)) or int(text) > maximum:
        raise ValueError(f'"{name}" must be a whole number from 0 to {maximum}')
    return int(text)


def _header(scope: Scope, wanted: bytes) -> str:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for name, value in headers if name == wanted), "")


async def _body(receive: Receive) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body += message.get("body", b"")
        if len(body) > _BODY_LIMIT:
            raise ValueError(f"the body is longer than {_BODY_LIMIT} bytes")
        more = message.get("more_body", False)
    return body


def _count(body: bytes, maximum: int) -> int:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError('the body must be JSON like {"count": 4}') from None
    count = data.get("count") if isinstance(data, dict) else None
    if not isinstance(count, int) or isinstance(count, bool):
        raise ValueError(  # noqa: TRY004 - the request is wrong, not a type in this program
            '"count" must be an integer, as in {"count": 4}'
        )
    if not 1 <= count <= maximum:
        raise ValueError(f'"count" must be 1 to {maximum} (--max-workers), not {count}')
    return count
