"""Types of requests to upstreams and their responses."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from multidict import CIMultiDict
from yarl import URL


class ResponseBody(Protocol):
    """A response body. Callers must close it. Raises httpx errors."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class ResponseHead(NamedTuple):
    """The head of a response, with its unread body."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: ResponseBody

    def header(self, lower_name: bytes) -> str:
        """The first header with this lower-case name; empty when missing."""
        for name, value in self.headers:
            if name.lower() == lower_name:
                return value.decode("latin-1")
        return ""


@dataclass(frozen=True, eq=False)
class UpstreamEndpoint:
    """Precomputed request data of one path of an upstream."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    origin: tuple[str, str]
    """Scheme and host."""


def make_endpoint(method: str, address: str, headers: Mapping[str, str]) -> UpstreamEndpoint:
    """Create an endpoint. Drops credentials from the URL, since the headers have them."""
    url = URL(address).with_user(None)
    if any("\r" in value or "\n" in value for value in headers.values()):
        raise ValueError(f"a header for {url.host} contains a line break")
    return UpstreamEndpoint(method, url, CIMultiDict(headers), (url.scheme, url.host or ""))
