"""A worker's connections: Uvicorn's, but each one follows its request's body to the end."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WholeRequestProtocol(HttpToolsProtocol):
    """Uvicorn stops following a request once it is answered, even while its body still arrives.

    A connection is idle, and may move to another worker, only after the whole body has arrived.
    """

    def on_message_complete(self) -> None:
        # Replaces Uvicorn's, which returns early where the response is complete; calling it as well
        # would add measurable cost to each request.
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()
