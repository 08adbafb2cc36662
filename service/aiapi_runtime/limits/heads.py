"""What the head of a request may cost, and the answers to requests that are refused for theirs.

Uvicorn bounds a head with h11 only, and neither the number of its headers nor its time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

SHORTEST_HEADER = len(b"x:\r\n")

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class HeadLimits:
    """Of one request; the command line has them as options."""

    size: int = 65536
    """Bytes of the request line and all headers."""

    headers: int = 256
    seconds: float = 10.0
    """From its first byte to its last."""


@dataclass(frozen=True)
class Refusal:
    """An answer that ends its connection."""

    status: int
    detail: str

    def response(self, defaults: Iterable[tuple[bytes, bytes]]) -> bytes:
        body = self.detail.encode()
        headers = [
            *defaults,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        first = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n".encode()
        return first + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body


INVALID = Refusal(400, "Invalid HTTP request received.")


def too_large(limits: HeadLimits) -> Refusal:
    return Refusal(431, f"The head of the request is larger than {limits.size} bytes.")


def too_many(limits: HeadLimits) -> Refusal:
    return Refusal(431, f"The request has more than {limits.headers} headers.")


def too_slow(limits: HeadLimits) -> Refusal:
    return Refusal(408, f"The head of the request took longer than {limits.seconds:g} s.")


def wrong_host(count: int) -> Refusal:
    has = f"{count} Host headers" if count else "no Host header"
    return Refusal(400, f"The request has {has}; send exactly one.")


def head_size(target: bytes, headers: Headers) -> int:
    """Its bytes, but for the method and version, with the usual separators."""
    return len(target) + sum(len(name) + len(value) + 4 for name, value in headers)
