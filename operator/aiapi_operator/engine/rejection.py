"""Requests that the API server rejected: repeated with backoff, or immediately after a change."""

from dataclasses import dataclass

_MAX_DELAY = 60.0


@dataclass(frozen=True, slots=True)
class Rejection:
    """One rejected request."""

    request: str
    """What was requested, in a form that can be compared."""
    message: str
    retry_at: float
    delay: float

    def blocks(self, request: str, *, now: float) -> bool:
        """Whether ``request`` is the rejected one and must not be repeated yet."""
        return self.request == request and now < self.retry_at


def reject(
    previous: Rejection | None, request: str, message: str, *, now: float, first_delay: float
) -> Rejection:
    """The next rejection, with twice the delay of the previous one."""
    delay = min(previous.delay * 2, _MAX_DELAY) if previous else first_delay
    return Rejection(request, message, now + delay, delay)
