"""Where the body of a request ends, as a head of its own that no upgrade is part of."""

import contextlib
from typing import Any

import httptools

from aiapi_runtime.limits.heads import Headers

_FRAMING = (b"content-length", b"transfer-encoding")


def framing_of(version: str, headers: Headers) -> bytes:
    """A head whose body is framed as that of a request with these headers."""
    lines = [b"%b: %b\r\n" % header for header in headers if header[0] in _FRAMING]
    lines += [
        b"connection: %b\r\n" % _without_upgrade(value)
        for name, value in headers
        if name == b"connection"
    ]
    return b"POST / HTTP/%b\r\n%b\r\n" % (version.encode(), b"".join(lines))


def _without_upgrade(connection: bytes) -> bytes:
    tokens = (token.strip() for token in connection.split(b","))
    return b", ".join(token for token in tokens if token.lower() != b"upgrade")


class _BehindHead:
    """What a parser calls: nothing for its first head, and then the connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._begun = False
        self.on_body = connection.on_body
        self.on_message_complete = connection.on_message_complete

    def on_message_begin(self) -> None:
        if self._begun:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._begun:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._begun:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._begun:
            self._connection.on_headers_complete()
        self._begun = True


def new_parser(connection: Any) -> Any:
    """A parser for a connection whose request has a head already, configured as by Uvicorn."""
    parser = httptools.HttpRequestParser(_BehindHead(connection))
    with contextlib.suppress(AttributeError):  # httptools before 0.6.3
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
