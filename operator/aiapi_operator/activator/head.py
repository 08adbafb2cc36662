"""Heads of requests and responses: what is passed on, and what belongs to one connection. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Header = tuple[bytes, bytes]

_ONE_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding"}
    | {b"upgrade"}
)
"""Headers for one connection. Trailers are dropped, and their announcement with them."""
_FRAMING = frozenset({b"content-length", b"host"})
"""Headers that ``Connection`` cannot remove."""
_FORWARDED = b"x-forwarded-for"


@dataclass(slots=True)
class RequestHead:
    """The head of a request."""

    method: bytes
    target: bytes
    version: bytes
    """1.0 or 1.1."""
    headers: list[Header]

    def value(self, name: bytes) -> bytes:
        """The first value of a header, by its name in lower case; empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), b"")

    @property
    def path(self) -> str:
        """The target without its query, and without scheme and host if it is absolute."""
        target = self.target.partition(b"?")[0].decode("latin-1")
        if target.startswith("/"):
            return target
        return "/" + target.partition("://")[2].partition("/")[2]

    @property
    def chunked(self) -> bool:
        """Whether the body is sent in chunks."""
        return bool(self.value(b"transfer-encoding"))

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.chunked or self.value(b"content-length").strip() not in (b"", b"0")

    @property
    def upgrades(self) -> bool:
        """Whether this is the handshake of a WebSocket. Other upgrades are not passed on."""
        return (
            self.method == b"GET"
            and self.version == b"1.1"
            and not self.has_body
            and b"websocket" in tokens(self.headers, b"upgrade")
            and b"upgrade" in tokens(self.headers, b"connection")
        )


@dataclass(slots=True)
class ResponseHead:
    """The head of a response. ``status`` below 200 is informational; another one follows."""

    status: int
    reason: bytes
    headers: list[Header]

    @property
    def chunked(self) -> bool:
        """Whether the body is sent in chunks."""
        return any(name.lower() == b"transfer-encoding" for name, _ in self.headers)

    @property
    def has_length(self) -> bool:
        """Whether the length of the body is known."""
        return any(name.lower() == b"content-length" for name, _ in self.headers)

    def has_body(self, method: bytes) -> bool:
        """Whether a response to a request with this method has a body."""
        return method != b"HEAD" and self.status not in (204, 304)


def tokens(headers: Iterable[Header], name: bytes) -> set[bytes]:
    """The comma-separated values of a header in lower case."""
    values = (value for key, value in headers if key.lower() == name)
    return {part.strip().lower() for value in values for part in value.split(b",")}


def render_request(head: RequestHead, client: str) -> bytes:
    """The head for a pod. The client's address is appended to ``X-Forwarded-For``.

    The connection is used once, but the pod does not learn that: asked to close, a server that
    answers early closes while the body still comes, and that resets its response.
    """
    headers = _end_to_end(head.headers)
    forwarded = [value for name, value in headers if name.lower() == _FORWARDED]
    kept = [(name, value) for name, value in headers if name.lower() != _FORWARDED]
    kept.append((b"X-Forwarded-For", b", ".join([*forwarded, client.encode()])))
    if head.chunked:
        kept.append((b"Transfer-Encoding", b"chunked"))
    if head.upgrades:
        kept += [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    return _render(b"%s %s HTTP/%s" % (head.method, head.target, head.version), kept)


def render_response(head: ResponseHead, *, chunked: bool) -> bytes:
    """The head for a client, which is to reconnect: the pods may be reachable directly by then."""
    headers = _end_to_end(head.headers)
    if head.status >= 200:
        headers += [(b"Transfer-Encoding", b"chunked")] if chunked else []
        headers.append((b"Connection", b"close"))
    elif head.status == 101:
        headers += [item for item in head.headers if item[0].lower() == b"upgrade"]
        headers.append((b"Connection", b"Upgrade"))
    return _render(b"HTTP/1.1 %d %s" % (head.status, head.reason), headers)


def _end_to_end(headers: Sequence[Header]) -> list[Header]:
    dropped = _ONE_HOP | (tokens(headers, b"connection") - _FRAMING)
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def _render(first: bytes, headers: Iterable[Header]) -> bytes:
    lines = [first, *(b"%s: %s" % header for header in headers), b"", b""]
    return b"\r\n".join(lines)


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
