"""A worker's connections where no httptools fits the Python: Uvicorn's on h11, in pure Python."""

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from aiapi_runtime.limits import heads
from aiapi_runtime.limits.bounded import BoundedConnection


class _BoundedParser(h11.Connection):
    """Keeps why a request is refused, of which Uvicorn passes nothing on."""

    def __init__(self, limits: heads.HeadLimits) -> None:
        # It bounds a head that is not complete; `_check` bounds one that arrives at once.
        super().__init__(h11.SERVER, limits.size)
        self._limits = limits
        self.refusal = heads.INVALID

    def next_event(self) -> Any:
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431:
                self.refusal = heads.too_large(self._limits)
            elif "Host:" in str(error):
                self.refusal = heads.wrong_host(2 if "multiple" in str(error) else 0)
            raise
        if isinstance(event, h11.Request):
            self._check(event)
        return event

    def _check(self, request: h11.Request) -> None:
        if len(request.headers) > self._limits.headers:
            self._stop(heads.too_many(self._limits))
        if heads.head_size(request.target, list(request.headers)) > self._limits.size:
            self._stop(heads.too_large(self._limits))

    def _stop(self, refusal: heads.Refusal) -> None:
        self.refusal = refusal
        raise h11.RemoteProtocolError(refusal.detail, error_status_hint=refusal.status)


class H11Connection(BoundedConnection, H11Protocol):  # type: ignore[misc]  # Uvicorn types the transport more narrowly
    """Shows what `connection_close` has to know about a connection, under httptools' names."""

    conn: _BoundedParser

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _BoundedParser(self.head_limits)

    @property
    def pipeline(self) -> bytes:
        """What has arrived of a next request."""
        unread, _ = self.conn.trailing_data
        return unread

    def data_received(self, data: bytes) -> None:
        if self._answered_early() and not self._count_unread(len(data)):
            self.refuse(heads.INVALID)
            return
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._after_response()
        self._follow()

    def _answered_early(self) -> bool:
        cycle = self.cycle
        return cycle is not None and cycle.response_complete and cycle.more_body

    def _follow(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._end_of_head()
            if self._answered_early():
                self._await_request()
            return
        if self._answered_early():
            # Uvicorn reads the rest of a body after the response, and does not say when it ends.
            self.cycle.more_body = False
        if self.pipeline:
            self._await_head()
        else:
            self._await_request()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._end_of_head()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - Uvicorn's signature
        self.refuse(self.conn.refusal)
