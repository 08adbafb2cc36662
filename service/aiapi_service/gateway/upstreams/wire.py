"""What goes out to an upstream and what comes back."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from multidict import CIMultiDict
from yarl import URL


class ResponseBody(Protocol):
    """Of an answer. Must be closed; raises httpx's errors when it breaks off."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class ResponseHead(NamedTuple):
    """The head of an answer, and what its body will be read from."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: ResponseBody

    def header(self, wanted: bytes) -> str:
        """The first of that name, in small letters, or nothing."""
        for name, value in self.headers:
            if name.lower() == wanted:
                return value.decode("latin-1")
        return ""


@dataclass(frozen=True, eq=False)
class UpstreamEndpoint:
    """Where calls of one kind go, made once."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    place: tuple[str, str]
    """Scheme and host."""


def make_endpoint(method: str, address: str, headers: Mapping[str, str]) -> UpstreamEndpoint:
    """Credentials in the address are for the headers to say."""
    url = URL(address).with_user(None)
    if any("\r" in value or "\n" in value for value in headers.values()):
        raise ValueError(f"a header for {url.host} has a line end in it")
    return UpstreamEndpoint(method, url, CIMultiDict(headers), (url.scheme, url.host or ""))
