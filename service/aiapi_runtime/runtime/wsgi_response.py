"""One request to a WSGI app. Needs a2wsgi, an extra.

A WSGI app cannot see whether its client is still connected. Only an error from reading the body or
sending a chunk ends a stream whose client has disconnected; without one, an endless stream would
keep its thread forever.
"""

import contextlib
from typing import Any

from a2wsgi.wsgi import WSGIMiddleware, WSGIResponder

from aiapi_runtime.telemetry.requests import Message, Receive, Scope, Send


class ClientDisconnectedError(ConnectionError):
    """The client neither sends the rest of the body nor reads the response."""


class WsgiMiddleware(WSGIMiddleware):
    """a2wsgi's, with the responder below."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        responder = _Responder(_with_terminated_input(self.app), self.executor, receive)
        await responder.respond(_without_ambiguous_headers(scope), receive, send)


class _Responder(WSGIResponder):
    """Ends the app's thread when its client has disconnected."""

    def __init__(self, app: Any, executor: Any, receive: Receive) -> None:
        super().__init__(app, executor, send_queue_size=10)
        # Uvicorn's request cycle, which drops what is sent to a client that has disconnected.
        self._cycle = getattr(receive, "__self__", None)
        self._failure: Exception | None = None
        self._sender_ended = False

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError("the client disconnected before the end of the body")
            return message

        # The caller counts disconnected clients; it asks the cycle.
        with contextlib.suppress(ClientDisconnectedError):
            await self(scope, received, send)  # type: ignore[arg-type]  # its own types for the same
        if self._failure is not None:
            raise self._failure

    def send(self, message: Any) -> None:
        """Runs in the app's thread."""
        # Not at the start of a response: the app's iterable is closed only once it was returned.
        disconnected = self._sender_ended or getattr(self._cycle, "disconnected", False)
        if disconnected and message["type"] == "http.response.body":
            raise ClientDisconnectedError("the client disconnected before the end of the response")
        super().send(message)

    async def sender(self, send: Any) -> None:
        try:
            await super().sender(send)
        except Exception as error:  # noqa: BLE001 - raised again once the thread has ended
            self._failure = error
        finally:
            self._sender_ended = True
            # The thread may be waiting for space in the queue.
            while not self.send_queue.empty():
                self.send_queue.get_nowait()


def _without_ambiguous_headers(scope: Scope) -> Scope:
    """`X_Real_IP` would look like `X-Real-IP` to the app, past a proxy that sets only that."""
    if not any(b"_" in name for name, _ in scope["headers"]):
        return scope
    return {**scope, "headers": [(k, v) for k, v in scope["headers"] if b"_" not in k]}


def _with_terminated_input(app: Any) -> Any:
    """Have the app read a body of unknown length to its end.

    Where the length is known, apps use it to detect a body that was cut short.
    """

    def terminated(environ: dict[str, Any], start_response: Any) -> Any:
        if "CONTENT_LENGTH" not in environ:
            environ["wsgi.input_terminated"] = True
        return app(environ, start_response)

    return terminated
