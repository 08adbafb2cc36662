"""The activator's own responses. Each closes its connection and says what happened."""

from dataclasses import dataclass
from http import HTTPStatus

RETRY_AFTER = 5
"""Seconds after which a refused client may try again: about the start of a pod."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the reason for it. 503 has Retry-After."""

    status: int
    reason: str
    outcome: str
    """The outcome in the metrics."""


def render(answer: Answer) -> bytes:
    """The response as bytes."""
    body = f"{answer.reason}\n".encode()
    head = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        head.append(f"Retry-After: {RETRY_AFTER}")
    return "\r\n".join([*head, "", ""]).encode() + body


def probe_answer(pod_name: str, nonce: bytes) -> bytes:
    """The answer to a marked probe: this activator, and the nonce that was sent."""
    lines = (
        b"HTTP/1.1 204 No Content",
        b"x-aiapi-activator: " + pod_name.encode(),
        b"x-aiapi-probe: " + nonce,
        b"Connection: close",
    )
    return b"\r\n".join([*lines, b"", b""])


def full(reason: str) -> Answer:
    """No room to hold the request."""
    return Answer(503, f"The service is starting and {reason}. Try again later.", "full")


def asleep(path: str) -> Answer:
    """A health check or scrape while there is no pod."""
    return Answer(503, f"The service is at zero pods, and {path} does not wake it.", "asleep")


def deleted() -> Answer:
    """The AIApi was deleted while the request was held."""
    return Answer(503, "The service was deleted.", "deleted")


def at_deadline(seconds: float, *, not_ready: str, wake_error: str, pods: int) -> Answer:
    """Why a request that was held for so long gets no response. Names the condition but not its
    message, which may have details that are not for every caller."""
    waited = f"No pod took the request within {seconds:g} s"
    if wake_error:
        return Answer(504, f"{waited}: {wake_error}.", "deadline")
    if not_ready:
        return Answer(503, f"{waited}: condition Ready is False, {not_ready}.", "not_ready")
    cause = "no pod is running" if not pods else "its pods are not ready or have no room"
    return Answer(504, f"{waited}: {cause}.", "deadline")
