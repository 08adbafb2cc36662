"""Decides which responses end their connection, just before their headers are sent.

`Connection: close` ends a connection without losing a request: the client reads it before it would
send the next one. It is sent only where closing after this response is safe: the request has been
read to its end, and no other request waits behind it.
"""

from typing import Any

from aiapi_runtime.telemetry.requests import Message, Receive


class ConnectionCloser:
    """One per worker. A draining worker closes with every response, a rebalanced one with some."""

    def __init__(self) -> None:
        self.draining = False
        # Read for every request, so not a property; nearly always there is nothing to do.
        self.active = False
        self._remaining = 0

    def close_all(self) -> None:
        """From now on every response ends its connection."""
        self.draining = self.active = True

    def close_next(self, count: int) -> None:
        """The next `count` responses end their connections."""
        self._remaining = count
        self.active = self.draining or count > 0

    def before_headers(self, message: Message, receive: Receive) -> Message:
        """The `http.response.start` to send. Apps may reuse theirs, so it is never changed."""
        cycle = getattr(receive, "__self__", None)
        if cycle is None or not getattr(cycle, "keep_alive", False) or cycle.more_body:
            return message
        protocol = getattr(cycle.on_response, "__self__", None)
        if protocol is None or getattr(protocol, "pipeline", None) or protocol.cycle is not cycle:
            return message
        self.close_next(self._remaining - 1)
        headers = [pair for pair in message.get("headers", ()) if pair[0] != b"connection"]
        return {**message, "headers": [*headers, (b"connection", b"close")]}


def is_idle(connection: Any) -> bool:
    """Between two requests, with nothing of either in this process: may be handed over."""
    scope = getattr(connection, "scope", None)
    transport = connection.transport
    if transport is None or transport.is_closing() or transport.get_write_buffer_size():
        return False
    if scope is None:
        return hasattr(connection, "cycle") and not connection.pipeline
    cycle = getattr(connection, "cycle", None)
    return bool(
        cycle is not None
        and cycle.scope is scope
        and cycle.response_complete
        and not cycle.more_body
        and not connection.pipeline
    )
