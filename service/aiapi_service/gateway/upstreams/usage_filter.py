"""Reads token usage and the end of the text from a stream of server-sent events. Pure.

Events pass through unchanged when they are complete. When the gateway and not the caller requested
the usage, the event with the usage only is removed.
"""

from typing import Any

from aiapi_service.gateway.upstreams import lenient_json
from aiapi_service.gateway.upstreams.sse import Event, EventParser
from aiapi_service.gateway.upstreams.usage import TokenCounts, usage_of

_DONE = b"[DONE]"
_LAST_TYPES = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
"""The types of the last event of a streamed response (`/v1/responses`)."""


class UsageFilter:
    """The filter of one stream."""

    def __init__(self, *, hide_usage: bool) -> None:
        self._hide = hide_usage
        self._parser = EventParser()
        self._unfinished: dict[int, bool] = {}
        """Whether each choice still lacks its finish_reason."""
        self.events = 0
        """Events with text, about one for each token."""
        self.tokens: TokenCounts | None = None
        self._ended = False

    @property
    def is_complete(self) -> bool:
        """Whether the text has ended. Without chunked encoding or a length, nothing else
        distinguishes a complete stream from a broken one, and not every upstream sends [DONE]."""
        return self._ended or (bool(self._unfinished) and not any(self._unfinished.values()))

    def feed(self, piece: bytes) -> bytes:
        """Feed a piece. Returns the bytes to send to the caller now."""
        return b"".join([event.raw for event in self._parser.feed(piece) if self._keeps(event)])

    def flush(self) -> bytes:
        """The remaining bytes at the end of the stream."""
        event = self._parser.finish()
        return event.raw if self._keeps(event) else b""

    def _keeps(self, event: Event) -> bool:
        if event.data is None:
            return True
        if event.data.strip() == _DONE:
            self._ended = True
            return True
        try:
            data = lenient_json.load(event.data)
        except ValueError:
            return True
        return not isinstance(data, dict) or self._keeps_object(event.name, data)

    def _keeps_object(self, name: str, data: dict[str, Any]) -> bool:
        self.events += 1
        choices = data.get("choices")
        tokens = usage_of(data)
        self.tokens = tokens or self.tokens
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._unfinished[_index(choice)] = not choice.get("finish_reason")
        only_usage = choices == [] and tokens is not None
        ended = only_usage or data.get("error") or name == "error"
        if ended or data.get("type") in _LAST_TYPES:
            self._ended = True
        return not (self._hide and only_usage)


def _index(choice: dict[str, Any]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0
