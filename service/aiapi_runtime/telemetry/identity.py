"""The id of a request: the caller's own where it sends one, so that logs can be joined.

A request whose id is never read costs nothing.
"""

import re
import secrets

from aiapi_runtime.telemetry.requests import CurrentRequest, current

# A caller's id goes into logs and headers: no spaces, no line breaks, a bounded length.
_VALID_ID = re.compile(rb"[A-Za-z0-9._\-]{1,128}")
# Version 00 of W3C Trace Context; a later version starts the same way and may be longer.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def request_id() -> str:
    """The request's `x-request-id`, or its trace id, or a new one; empty outside any request."""
    request = current.get()
    if request is None:
        return ""
    if not request.id:
        request.id = _received_id(request) or secrets.token_hex(16)
    return request.id


def header(request: CurrentRequest, wanted: bytes) -> bytes:
    """The first header of that name; empty when there is none."""
    value: bytes
    for name, value in request.scope["headers"]:
        if name == wanted:
            return value
    return b""


def traceparent(request: CurrentRequest) -> tuple[str, str, int] | None:
    """Trace id, parent span id and flags, when the caller sent valid ones."""
    match = _TRACEPARENT.fullmatch(header(request, b"traceparent"))
    if match is None or (match[4] and match[0].startswith(b"00")):
        return None
    trace, parent = match[1].decode(), match[2].decode()
    if not int(trace, 16) or not int(parent, 16):
        return None
    return trace, parent, int(match[3], 16)


def _received_id(request: CurrentRequest) -> str:
    own = header(request, b"x-request-id")
    if _VALID_ID.fullmatch(own):
        return own.decode()
    parent = traceparent(request)
    return parent[0] if parent else ""
