"""What a client sends: the head of its request, and then bytes for the pod."""

from aiapi_operator.activator.head import LAST_CHUNK, RequestHead, chunk
from aiapi_operator.activator.request_reader import RequestReader


class Incoming:
    """One request."""

    __slots__ = ("_reader", "head")

    def __init__(self) -> None:
        self._reader: RequestReader | None = RequestReader()
        self.head: RequestHead | None = None
        """None until it is complete."""

    @property
    def ended(self) -> bool:
        """The request is complete."""
        return self._reader is None

    def feed(self, data: bytes) -> bytes:
        """Bytes for the pod: the body, framed as the head says, or what follows the handshake of a
        WebSocket. Bytes behind another request are dropped. Raises ``BadRequest``."""
        reader = self._reader
        if reader is None:
            return data if self.head is not None and self.head.upgrades else b""
        reader.feed(data)
        self.head = head = reader.head
        if head is None:
            return b""
        piece = reader.take()
        if piece and head.chunked:
            piece = chunk(piece)
        if reader.ended:
            self._reader = None
            piece += LAST_CHUNK if head.chunked else b""
        return piece
