"""Which request this is: the caller's own id where it sends one, so that logs can be joined.

Nothing is done for a request whose id nobody asks for.
"""

import re
import secrets

from aiapi_runtime.telemetry.requests import CurrentRequest, current

# What others send goes into our logs and headers: no spaces, no line ends, no length without end.
_SANE = re.compile(rb"[A-Za-z0-9._\-]{1,128}")
# Version 00 of W3C Trace Context; a later version begins alike and may go on.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def request_id() -> str:
    """`x-request-id` of the request, or its trace id, or a new one; empty outside any request."""
    request = current.get()
    if request is None:
        return ""
    if not request.id:
        request.id = _given(request) or secrets.token_hex(16)
    return request.id


def header(request: CurrentRequest, wanted: bytes) -> bytes:
    """The first header of that name, or nothing."""
    value: bytes
    for name, value in request.scope["headers"]:
        if name == wanted:
            return value
    return b""


def traceparent(request: CurrentRequest) -> tuple[str, str, int] | None:
    """Trace id, parent's span id and flags, where the caller sent valid ones."""
    match = _TRACEPARENT.fullmatch(header(request, b"traceparent"))
    if match is None or (match[4] and match[0].startswith(b"00")):
        return None
    trace, parent = match[1].decode(), match[2].decode()
    if not int(trace, 16) or not int(parent, 16):
        return None
    return trace, parent, int(match[3], 16)


def _given(request: CurrentRequest) -> str:
    own = header(request, b"x-request-id")
    if _SANE.fullmatch(own):
        return own.decode()
    parent = traceparent(request)
    return parent[0] if parent else ""
