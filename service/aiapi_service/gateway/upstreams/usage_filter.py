"""Watches a stream of server-sent events for the tokens it used. Pure.

An event that is complete passes on at once. When the gateway itself has asked for the usage, the
event that carries nothing else is kept from the caller, who did not.
"""

import json
import re

from aiapi_service.gateway.upstreams.usage import TokenCounts, find_usage

# An event that does not end is passed on as it is rather than kept.
_LONGEST_EVENT = 1 << 20
_DONE = b"data: [DONE]"
# What an upstream says last, where it does not say that it is done.
_LAST = re.compile(rb'"finish_reason"\s*:\s*"|"error"\s*:\s*[{"]')
# The usage comes alone, after the text; some upstreams also tell it with each piece of that.
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')


class UsageFilter:
    """One stream's."""

    def __init__(self, *, hide_usage: bool) -> None:
        self._hide = hide_usage
        self._rest = b""
        self._last = b""
        self.tokens: TokenCounts | None = None

    @property
    def whole(self) -> bool:
        """Whether the last that was said is an end. Where a connection's end is the answer's, it
        is all that tells an answer from one that was cut."""
        last = self._last
        if _DONE in last or _LAST.search(last) is not None:
            return True
        return self.tokens is not None and _NO_CHOICES.search(last) is not None

    def feed(self, piece: bytes) -> bytes:
        """What of this may go on to the caller now."""
        data = self._rest + piece if self._rest else piece
        self._rest = b""
        self._last = data
        if b'"usage"' not in data and data.endswith(b"\n\n"):
            return data
        return self._by_event(data)

    def flush(self) -> bytes:
        """What is left when the stream has ended."""
        rest, self._rest = self._rest, b""
        return rest

    def _by_event(self, data: bytes) -> bytes:
        kept = bytearray()
        start = 0
        while (end := _end_of_event(data, start)) > 0:
            event = data[start:end]
            if not self._is_hidden(event):
                kept += event
            start = end
        rest = data[start:]
        if len(rest) > _LONGEST_EVENT:
            kept += rest
        else:
            self._rest = rest
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
    """Where the event that starts here is over; 0 when it is not."""
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
