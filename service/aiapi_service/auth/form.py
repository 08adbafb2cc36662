"""Forms as OAuth 2 sends them: small, each field once."""

import asyncio
from urllib.parse import parse_qsl

from fastapi import Request

from aiapi_service.auth.errors import grant_error

_LARGEST = 16 * 1024
_MOST_FIELDS = 16
_SECONDS = 30.0


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST:
            raise grant_error("invalid_request", f"More than {_LARGEST} bytes.", status=413)
    return bytes(body)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, or what is wrong with it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise grant_error("invalid_request", "Send application/x-www-form-urlencoded.", status=415)
    try:
        async with asyncio.timeout(_SECONDS):
            body = await _body(request)
    except TimeoutError:
        text = f"The form did not come within {_SECONDS:g} s."
        raise grant_error("invalid_request", text, status=408) from None
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise grant_error("invalid_request", "The form cannot be read.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise grant_error("invalid_request", "A field was sent twice.")
    if any("\0" in value for value in fields.values()):
        raise grant_error("invalid_request", "A field holds a NUL.")
    return fields


def required_field(fields: dict[str, str], name: str) -> str:
    """A field that must be there."""
    value = fields.get(name, "")
    if not value:
        raise grant_error("invalid_request", f"The field {name} is missing.")
    return value
