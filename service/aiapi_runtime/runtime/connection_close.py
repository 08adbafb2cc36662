"""When a response should end its connection, decided at the last moment before its headers go out.

Saying `Connection: close` takes a connection back without a client losing a request by it: the
client knows before it sends the next one. It is said only where it is safe to close after this
response: the request has been read to its end, and no other is waiting behind it.
"""

import select
from typing import Any


class ConnectionCloser:
    """One a worker. While it leaves, every response says it; after a growth only some do."""

    def __init__(self) -> None:
        self.leaving = False
        # Read for each request, so no property; nearly always there is nothing to do.
        self.active = False
        self._to_shed = 0

    def leave(self) -> None:
        self.leaving = self.active = True

    def shed(self, count: int) -> None:
        """So many responses say it from now on."""
        self._to_shed = count
        self.active = self.leaving or count > 0

    def at_start(self, receive: Any) -> None:
        cycle = getattr(receive, "__self__", None)
        if cycle is None or not getattr(cycle, "keep_alive", False) or cycle.more_body:
            return
        protocol = getattr(cycle.on_response, "__self__", None)
        if protocol is None or getattr(protocol, "pipeline", None) or protocol.cycle is not cycle:
            return
        cycle.keep_alive = False
        self.shed(self._to_shed - 1)


def is_idle(connection: Any) -> bool:
    """Between two requests, with nothing of either in this process: may be handed over."""
    scope = getattr(connection, "scope", None)
    transport = connection.transport
    if transport is None or transport.is_closing() or transport.get_write_buffer_size():
        return False
    if scope is None:
        return hasattr(connection, "cycle")
    cycle = getattr(connection, "cycle", None)
    return bool(
        cycle is not None
        and cycle.scope is scope
        and cycle.response_complete
        and not cycle.more_body
        and not connection.pipeline
    )


def has_unread(connection: Any) -> bool:
    """Whether a request has come that the loop has not read yet."""
    poll = select.poll()
    poll.register(connection.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))
