"""Opaque pagination cursors."""

import base64
import binascii

from aiapi_service.gateway.problems import FieldError, ProblemError


def encode(last: str) -> str:
    """The cursor for the documents after this id."""
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def decode(cursor: str) -> str:
    """The id in a cursor; raises a problem when the cursor is not valid."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        last = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        last = "\0"
    if "\0" in last:
        raise ProblemError(
            422,
            "invalid-request",
            "The request is not valid",
            "cursor is not a next_cursor of this API",
            errors=[FieldError("cursor", "is not a next_cursor of this API")],
        )
    return last
