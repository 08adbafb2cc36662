"""One request to a WSGI app. Needs a2wsgi, an extra.

A WSGI app knows nothing of its client: only an error from what it reads or sends can tell it that
there is nobody any more. Without one, a stream without end keeps its thread for ever.
"""

import contextlib
from typing import Any

from a2wsgi.wsgi import WSGIMiddleware, WSGIResponder

from aiapi_runtime.telemetry.requests import Message, Receive, Scope, Send


class ClientLeftError(ConnectionError):
    """Nobody reads the answer, or sends the rest of the body."""


class Middleware(WSGIMiddleware):
    """a2wsgi's, with the responder below."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        responder = _Responder(_saying_where_bodies_end(self.app), self.executor, receive)
        await responder.answer(_without_ambiguous_headers(scope), receive, send)


class _Responder(WSGIResponder):
    """Ends the app's thread when what it sends goes nowhere."""

    def __init__(self, app: Any, executor: Any, receive: Receive) -> None:
        super().__init__(app, executor, send_queue_size=10)
        # Uvicorn's request cycle: it drops what is sent to a client that has left.
        self._cycle = getattr(receive, "__self__", None)
        self._failure: Exception | None = None
        self._deaf = False

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError("the client left before the body's end")
            return message

        # Who has left is counted by our caller, which asks the cycle.
        with contextlib.suppress(ClientLeftError):
            await self(scope, received, send)  # type: ignore[arg-type]  # its own types for the same
        if self._failure is not None:
            raise self._failure

    def send(self, message: Any) -> None:
        """Called in the app's thread."""
        # Not at the start: only once the app has returned its iterable is that closed.
        left = self._deaf or getattr(self._cycle, "disconnected", False)
        if left and message["type"] == "http.response.body":
            raise ClientLeftError("the client left before the answer's end")
        super().send(message)

    async def sender(self, send: Any) -> None:
        try:
            await super().sender(send)
        except Exception as error:  # noqa: BLE001 - told again where the thread has ended
            self._failure = error
        finally:
            self._deaf = True
            # The thread may wait for room in here.
            while not self.send_queue.empty():
                self.send_queue.get_nowait()


def _without_ambiguous_headers(scope: Scope) -> Scope:
    """`X_Real_IP` would look like `X-Real-IP` to the app, past a proxy that sets only that."""
    if not any(b"_" in name for name, _ in scope["headers"]):
        return scope
    return {**scope, "headers": [(k, v) for k, v in scope["headers"] if b"_" not in k]}


def _saying_where_bodies_end(app: Any) -> Any:
    """A body of unknown length is read to its end only if the app knows that it has one.

    Where the length is known, apps can see by it that a body is cut short.
    """

    def terminated(environ: dict[str, Any], start_response: Any) -> Any:
        if "CONTENT_LENGTH" not in environ:
            environ["wsgi.input_terminated"] = True
        return app(environ, start_response)

    return terminated
