"""What a client may not do to a connection, whichever library parses its requests.

Both of Uvicorn's connections trust the proxy in front: a half-sent head stays open for ever, a
refused body is read to its end, and an invalid request is answered in the middle of the response
before it. A cluster has callers without a proxy.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiapi_runtime.limits import lingering
from aiapi_runtime.limits.addresses import plain_address
from aiapi_runtime.limits.flow import WatchedFlow, has_unread
from aiapi_runtime.limits.heads import HeadLimits, Refusal, too_slow

UNREAD_BYTES = 262144
"""How much of a body is read after its response, so that the connection can be used again."""


class BoundedConnection(asyncio.Protocol):
    """Goes before one of Uvicorn's protocols in the bases of a class."""

    head_limits = HeadLimits()

    # Uvicorn's; typed here for both parsers.
    client: Any
    cycle: Any
    flow: Any
    headers: Any
    loop: asyncio.AbstractEventLoop
    logger: logging.Logger
    pipeline: Any
    server: Any
    server_state: Any
    timeout_keep_alive: float
    timeout_keep_alive_handler: Callable[[], None]
    timeout_keep_alive_task: asyncio.TimerHandle | None
    transport: Any
    _unset_keepalive_if_required: Callable[[], None]

    _head_timer: asyncio.TimerHandle | None = None
    _unread = 0
    _unread_cycle: Any = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = WatchedFlow(transport)
        self.client = plain_address(self.client)
        if self.server is not None and self.server[1] is not None:
            self.server = plain_address((self.server[0], self.server[1]))
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_of_head()
        # Uvicorn leaves it running where the connection was reset.
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def _after_response(self) -> None:
        if self.cycle.more_body and self.cycle.response_complete and self._expects_continue():
            # The client may leave the body out now: what it sends next could be either.
            self._close()

    def _close(self) -> None:
        self._unset_keepalive_if_required()
        lingering.close(self)

    def _expects_continue(self) -> bool:
        return any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in self.headers
        )

    def _await_request(self) -> None:
        """Idle: also a connection whose client has sent nothing yet, or only a blank line."""
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_limits.seconds, self._head_is_late)

    def _end_of_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.flow.read_paused or has_unread(self.transport):
            # Not the client is late, but this worker.
            self._await_head()
        else:
            self.refuse(too_slow(self.head_limits))

    def _count_unread(self, size: int) -> bool:
        """Whether so much of a body may still be read, although its response is complete."""
        if self._unread_cycle is not self.cycle:
            self._unread_cycle, self._unread = self.cycle, UNREAD_BYTES
        self._unread -= size
        return self._unread >= 0

    def _open_cycles(self) -> list[Any]:
        """Requests whose response is not complete, in their order."""
        return [self.cycle] if self.cycle is not None and not self.cycle.response_complete else []

    def refuse(self, refusal: Refusal) -> None:
        """End the connection because of what the client has sent, but not the requests before."""
        self._end_of_head()
        if self.transport.is_closing():
            return
        before = self._open_cycles()
        broken = self.cycle if self.cycle is not None and self.cycle.more_body else None
        if before and before[-1] is broken:
            before.pop()
        if before:
            self._finish_with(before[-1], broken)
            return
        self.logger.warning("refused a request: %d, %s", refusal.status, refusal.detail)
        if broken is None or not broken.response_started:
            self.transport.write(refusal.response(self.server_state.default_headers))
        if broken is not None:
            broken.disconnected = True
            broken.message_event.set()
        self._close()

    def _finish_with(self, last: Any, broken: Any) -> None:
        if broken is not None:
            self.pipeline.popleft()
        last.keep_alive = False
        lingering.linger(self)
