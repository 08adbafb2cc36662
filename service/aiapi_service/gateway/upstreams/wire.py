"""What goes out to an upstream and what comes back: the little that the ways out have in common."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import httpx


class Body(Protocol):
    """Of an answer. Must be closed; raises httpx's errors when it breaks off."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class Reply(NamedTuple):
    """The head of an answer, and what its body will be read from."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: Body

    def header(self, wanted: bytes) -> str:
        """The first of that name, in small letters, or nothing."""
        for name, value in self.headers:
            if name.lower() == wanted:
                return value.decode("latin-1")
        return ""


class Timeouts(NamedTuple):
    """Seconds of each phase of a call."""

    pool: float
    """To get a connection, connecting included."""
    connect: float
    read: float
    """To the first byte, and between two pieces."""


@dataclass(frozen=True, eq=False)
class Endpoint:
    """Where calls of one kind go, made once. `head` is all of them but the length of the body."""

    method: str
    url: httpx.URL
    headers: httpx.Headers
    place: tuple[str, str, int]
    head: bytes


def make_endpoint(method: str, address: str, headers: httpx.Headers) -> Endpoint:
    """Credentials in the address are for the headers to say."""
    url = httpx.URL(address).copy_with(userinfo=b"")
    lines = [b"%s %s HTTP/1.1" % (method.encode("ascii"), url.raw_path)]
    lines += [b"%s: %s" % header for header in headers.raw]
    head = b"\r\n".join(lines)
    if any(head.count(end) != len(lines) - 1 for end in (b"\r", b"\n")):
        raise ValueError(f"a header for {url.host} has a line end in it")
    port = url.port or (443 if url.scheme == "https" else 80)
    return Endpoint(method, url, headers, (url.scheme, url.raw_host.decode("ascii"), port), head)


class Way(Protocol):
    """A way to upstreams, with its connections."""

    async def send(self, to: Endpoint, body: bytes, timeouts: Timeouts) -> Reply:
        """The head of the answer; raises httpx's errors."""
        ...

    async def close(self) -> None: ...
