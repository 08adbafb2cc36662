"""Where the body of a request ends, as a head of its own that no upgrade is part of."""

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
