"""A worker's connections: Uvicorn's, but each is followed to the end of its request's body."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WholeRequestProtocol(HttpToolsProtocol):
    """Uvicorn stops following a request that is answered, though its body may still come.

    Only when that has come the connection is idle, and may move to another worker.
    """

    def on_message_complete(self) -> None:
        # In place of Uvicorn's, which returns where the answer is complete: a call more for each
        # request would show in what the runtime costs.
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()
