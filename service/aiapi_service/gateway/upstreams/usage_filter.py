"""Extracts token usage from a stream of server-sent events. Pure.

Complete events pass through immediately. When the gateway and not the caller requested the usage,
the event with the usage only is removed.
"""

import json
import re

from aiapi_service.gateway.upstreams.usage import TokenCounts, find_usage

# A longer event is passed through without waiting for its end.
_MAX_EVENT_BYTES = 1 << 20
_DONE = b"data: [DONE]"
# The last event of upstreams that do not send [DONE].
_LAST = re.compile(rb'"finish_reason"\s*:\s*"|"error"\s*:\s*[{"]')
# The usage event has no choices. Some upstreams also add usage to each event with text.
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')


class UsageFilter:
    """The filter of one stream."""

    def __init__(self, *, hide_usage: bool) -> None:
        self._hide = hide_usage
        self._partial = b""
        self._last = b""
        self.tokens: TokenCounts | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the last event ends the stream. Without chunked encoding or a length, nothing
        else distinguishes a complete stream from a broken one."""
        last = self._last
        if _DONE in last or _LAST.search(last) is not None:
            return True
        return self.tokens is not None and _NO_CHOICES.search(last) is not None

    def feed(self, piece: bytes) -> bytes:
        """Feed a piece. Returns the bytes to send to the caller now."""
        data = self._partial + piece if self._partial else piece
        self._partial = b""
        self._last = data
        if b'"usage"' not in data and data.endswith(b"\n\n"):
            return data
        return self._by_event(data)

    def flush(self) -> bytes:
        """The remaining bytes at the end of the stream."""
        partial, self._partial = self._partial, b""
        return partial

    def _by_event(self, data: bytes) -> bytes:
        kept = bytearray()
        start = 0
        while (end := _end_of_event(data, start)) > 0:
            event = data[start:end]
            if not self._is_hidden(event):
                kept += event
            start = end
        rest = data[start:]
        if len(rest) > _MAX_EVENT_BYTES:
            kept += rest
        else:
            self._partial = rest
        return bytes(kept)

    def _is_hidden(self, event: bytes) -> bool:
        if b'"usage"' not in event:
            return False
        tokens = find_usage(event)
        if tokens is None:
            return False
        self.tokens = tokens
        return self._hide and _has_no_choices(event)


def _end_of_event(data: bytes, start: int) -> int:
    """The end of the event that starts here; 0 when it is incomplete."""
    ends = [
        at + len(mark) for mark in (b"\n\n", b"\r\n\r\n") if (at := data.find(mark, start)) >= 0
    ]
    return min(ends, default=0)


def _has_no_choices(event: bytes) -> bool:
    text = event.strip().removeprefix(b"data:")
    try:
        data = json.loads(text)
    except ValueError:
        return False
    return isinstance(data, dict) and data.get("choices") == []
