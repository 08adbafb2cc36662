"""A worker's connections: Uvicorn's, but each is followed to the end of its request's body."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WholeRequestProtocol(HttpToolsProtocol):
    """Uvicorn stops following a request that is answered, though its body may still come.

    Only when that has come the connection is idle, and may move to another worker.
    """

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.cycle is not None:
            self.cycle.more_body = False
