"""Splits a stream of server-sent events by the grammar of the WHATWG HTML standard (9.2.6). Pure.

Events keep their bytes, so that they can be passed on unchanged.
"""

from dataclasses import dataclass

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A longer event is passed on without waiting for its end, and has no data.
_MAX_EVENT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Event:
    """One event, or comments and other bytes between events."""

    raw: bytes
    """The bytes as received, with the blank line at the end."""
    name: str = ""
    """The event field."""
    data: bytes | None = None
    """The data fields, joined by line feeds. None without one, which dispatches no event."""


class EventParser:
    """Splits the pieces of one stream."""

    def __init__(self) -> None:
        self._raw: list[bytes] = []
        """The lines of the current event."""
        self._line = b""
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._at_start = True
        self._after_return = False
        self._is_too_long = False
        self._in_long_line = False

    def feed(self, piece: bytes) -> list[Event]:
        """The events that this piece completes."""
        if self._after_return and piece.startswith(b"\n"):
            # The second half of a line end.
            self._raw.append(b"\n")
            piece = piece[1:]
            self._after_return = False
        lines = (self._line + piece).splitlines(keepends=True)
        self._line = lines.pop() if lines and not lines[-1].endswith((b"\r", b"\n")) else b""
        if piece:
            self._after_return = piece.endswith(b"\r")
        events = [event for line in lines if (event := self._take(line)) is not None]
        if self._size + len(self._line) > _MAX_EVENT_BYTES:
            events.append(self._give_up())
        return events

    def finish(self) -> Event:
        """What is left at the end of the stream: an event without its blank line, or nothing."""
        if self._line:
            self._take_field(self._line)
            self._raw.append(self._line)
            self._line = b""
        return self._dispatch()

    def _take(self, line: bytes) -> Event | None:
        self._raw.append(line)
        self._size += len(line)
        if self._in_long_line:
            # The rest of a line that was passed on is neither a field nor a blank line.
            self._in_long_line = False
            return None
        text = line.rstrip(b"\r\n")
        if self._at_start:
            text = text.removeprefix(_BYTE_ORDER_MARK)
            self._at_start = False
        if not text:
            return self._dispatch()
        self._take_field(text)
        return None

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")

    def _dispatch(self) -> Event:
        has_data = bool(self._data) and not self._is_too_long
        data = b"\n".join(self._data) if has_data else None
        event = Event(b"".join(self._raw), self._name if has_data else "", data)
        self._raw, self._data, self._name = [], [], ""
        self._size, self._is_too_long = 0, False
        return event

    def _give_up(self) -> Event:
        """Pass the event on in parts."""
        self._is_too_long = True
        raw = b"".join([*self._raw, self._line])
        self._raw, self._data, self._size = [], [], 0
        self._in_long_line = bool(self._line)
        self._line = b""
        return Event(raw)
