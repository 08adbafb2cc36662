"""The requests of one AIApi that wait for a pod, oldest first."""

from collections.abc import Iterator
from typing import Protocol

from aiapi_operator.activator.answers import Answer
from aiapi_operator.activator.backends import Backend
from aiapi_operator.activator.limits import REQUEST_BODY, Limits, refusal


class Held(Protocol):
    """A request that may wait."""

    first_byte_at: float
    """When its first byte came, in monotonic seconds."""
    hold_seconds: float
    """How long it may wait."""
    wakes: bool
    """Whether it is a reason to wake the fleet."""

    def pause(self) -> None:
        """Read no more of its body."""

    def resume(self) -> None:
        """Read on."""

    def forward(self, backend: Backend) -> None:
        """Send it to a pod. Returns at once."""

    def answer(self, answer: Answer) -> None:
        """Answer it here."""

    def close_unused(self) -> None:
        """Close the connection if no byte has come."""

    def abort(self) -> None:
        """Close the connection at once."""


class Hold:
    """A bounded queue. The bound on body bytes includes requests that are being forwarded."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: dict[Held, None] = {}
        self._bodies: dict[Held, int] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Held]:
        return iter(self._waiting)

    @property
    def body_bytes(self) -> int:
        """Body bytes in memory."""
        return self._bytes

    def refusal(self) -> str:
        """Why no further request is held; empty if there is room."""
        return refusal(self._limits, len(self._waiting), self._bytes)

    def add(self, request: Held) -> None:
        """Hold a request behind all others."""
        self._waiting[request] = None

    def put_back(self, request: Held) -> None:
        """Hold a request before all others: its pod went away before it got a byte."""
        self._waiting = {request: None, **self._waiting}

    def pop(self) -> Held | None:
        """Take the oldest request."""
        request = next(iter(self._waiting), None)
        if request is not None:
            del self._waiting[request]
        return request

    def discard(self, request: Held) -> None:
        """The request no longer waits."""
        self._waiting.pop(request, None)

    def expired(self, now: float) -> list[Held]:
        """The requests that have waited for as long as they may."""
        return [each for each in self._waiting if now - each.first_byte_at >= each.hold_seconds]

    def buffered(self, request: Held, count: int) -> None:
        """``count`` more body bytes of a request are in memory."""
        self._bodies[request] = self._bodies.get(request, 0) + count
        self._bytes += count
        if self._bytes >= self._limits.body_bytes:
            for each in self._bodies:
                each.pause()
        elif self._bodies[request] >= REQUEST_BODY:
            request.pause()

    def released(self, request: Held) -> None:
        """The body of a request is no longer in memory. Others may send more of theirs."""
        was_full = self._bytes >= self._limits.body_bytes
        self._bytes -= self._bodies.pop(request, 0)
        if was_full and self._bytes < self._limits.body_bytes:
            for each, count in self._bodies.items():
                if count < REQUEST_BODY:
                    each.resume()
