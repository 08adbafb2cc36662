"""The admin port: probes, metrics, the operator's scrape, and the worker count.

It runs in the supervisor's own process and loop, where no user code runs, so that a saturated or
blocked worker cannot hide it.
"""

import asyncio
import contextlib
import hmac
import json
import socket
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

_BODY_LIMIT = 1024
_BODY_SECONDS = 5.0
_HEAD_SECONDS = 10.0
_MOST_CONNECTIONS = 256


class Pod(Protocol):
    """What the admin port asks of the supervisor; every answer is there at once."""

    def live(self) -> str: ...
    def ready(self) -> str: ...
    def metrics(self, accept: str) -> tuple[str, bytes]: ...
    def stats(self) -> dict[str, Any]: ...
    def status(self) -> dict[str, Any]: ...
    def resize(self, count: int) -> dict[str, int]: ...

    @property
    def max_workers(self) -> int: ...


class Token:
    """The bearer token, from the environment or from a file that may be replaced while we run."""

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


Handler = Callable[[Request], Awaitable[Response]]


class _Routes:
    """One method a route."""

    def __init__(self, pod: Pod, token: Token) -> None:
        self._pod = pod
        self._token = token

    def guarded(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            if not self._token.read():
                return _problem(
                    403, "no admin token is set: use --admin-token-file or AIAPI_ADMIN_TOKEN"
                )
            if not self._token.allows(request.headers.get("authorization", "")):
                refusal = _problem(401, "a bearer token is needed, and this was not it")
                refusal.headers["www-authenticate"] = "Bearer"
                return refusal
            return await handler(request)

        return checked

    async def livez(self, _: Request) -> Response:
        return _probe(self._pod.live())

    async def readyz(self, _: Request) -> Response:
        return _probe(self._pod.ready())

    async def metrics(self, request: Request) -> Response:
        content_type, text = self._pod.metrics(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    async def stats(self, _: Request) -> Response:
        return JSONResponse(self._pod.stats())

    async def status(self, _: Request) -> Response:
        return JSONResponse(self._pod.status())

    async def workers(self, request: Request) -> Response:
        try:
            count = _count(await _body(request), self._pod.max_workers)
        except ValueError as error:
            return _problem(422, str(error))
        except TimeoutError:
            return _problem(408, "the body did not come in time")
        return JSONResponse(self._pod.resize(count))


def build(pod: Pod, token: Token) -> Starlette:
    """The ASGI app of the admin port."""
    to = _Routes(pod, token)
    return Starlette(
        routes=[
            Route("/livez", to.livez),
            Route("/readyz", to.readyz),
            Route("/metrics", to.metrics),
            Route("/stats", to.guarded(to.stats)),
            Route("/status", to.guarded(to.status)),
            Route("/workers", to.guarded(to.workers), methods=["PUT"]),
        ]
    )


def _probe(reason: str) -> Response:
    return PlainTextResponse(reason or "ok", 503 if reason else 200)


def _problem(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)


async def _body(request: Request) -> bytes:
    body = b""
    async with asyncio.timeout(_BODY_SECONDS):
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_LIMIT:
                raise ValueError(f"the body is longer than {_BODY_LIMIT} bytes")
    return body


def _count(body: bytes, most: int) -> int:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError('the body must be JSON like {"count": 4}') from None
    count = data.get("count") if isinstance(data, dict) else None
    if not isinstance(count, int) or isinstance(count, bool):
        raise ValueError(  # noqa: TRY004 - what is wrong is the request, not a type in this program
            '"count" must be a whole number, as in {"count": 4}'
        )
    if not 1 <= count <= most:
        raise ValueError(f'"count" must be 1 to {most} (--max-workers), not {count}')
    return count


class _StrictProtocol(H11Protocol):
    """Uvicorn waits for a request for ever; enough slow connections would fill the port.

    From a connection's first moment, and later from the first byte after an answer, the head of the
    next request has to be whole in time.
    """

    _deadline: asyncio.TimerHandle | None = None
    _made_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in Uvicorn
        super().connection_made(transport)
        self._made_at = self.loop.time()
        self._make_room()
        self._expect_a_head()

    def _make_room(self) -> None:
        """Uvicorn's own limit answers 503, and a kubelet restarts a pod whose probe hears that."""
        others = [
            one
            for one in self.connections
            if isinstance(one, _StrictProtocol) and one is not self and one._is_open()  # noqa: SLF001 - its own kind
        ]
        if len(others) >= _MOST_CONNECTIONS:
            min(others, key=_StrictProtocol._worth).transport.abort()

    def _is_open(self) -> bool:
        return not self.transport.is_closing()

    def _worth(self) -> tuple[bool, float]:
        """Whose request is in progress is kept, and of the others the younger."""
        return self.cycle is not None and not self.cycle.response_complete, self._made_at

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._expect_a_head()
        else:
            self._expect_nothing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        super().send_400_response(msg)
        if self.cycle is not None:
            # The body went wrong, and this was the answer: the app's own comes too late.
            self.cycle.disconnected = True

    def _expect_a_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class AdminServer(uvicorn.Server):
    """Uvicorn without its signal handlers, which belong to the supervisor."""

    def __init__(self, app: Starlette) -> None:
        self._over = asyncio.Event()
        # h11 bounds the head of a request, which httptools does not.
        super().__init__(
            uvicorn.Config(
                app,
                http=_StrictProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=30,
                h11_max_incomplete_event_size=16384,
                timeout_graceful_shutdown=1,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def run_on(self, sock: socket.socket) -> None:
        await self.serve(sockets=[sock])

    async def main_loop(self) -> None:
        """Uvicorn's own wakes ten times a second, also in a pod at rest: for the date header."""
        while not self._over.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), 1.0)

    def end(self) -> None:
        self.should_exit = True
        self._over.set()
