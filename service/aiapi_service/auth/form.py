"""Reads OAuth 2 form bodies: bounded, each field at most once."""

import asyncio
from urllib.parse import parse_qsl

from fastapi import Request

from aiapi_service.auth.errors import grant_error

_MAX_BYTES = 16 * 1024
_MAX_FIELDS = 16
_TIMEOUT_SECONDS = 30.0


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BYTES:
            raise grant_error(
                "invalid_request", f"The form is larger than {_MAX_BYTES} bytes.", status=413
            )
    return bytes(body)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of the form; raises AuthError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise grant_error(
            "invalid_request", "Send the form as application/x-www-form-urlencoded.", status=415
        )
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            body = await _body(request)
    except TimeoutError:
        text = f"The form was not received within {_TIMEOUT_SECONDS:g} s."
        raise grant_error("invalid_request", text, status=408) from None
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MAX_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise grant_error("invalid_request", "The form cannot be parsed.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise grant_error("invalid_request", "A field is repeated.")
    if any("\0" in value for value in fields.values()):
        raise grant_error("invalid_request", "A field contains a NUL character.")
    return fields


def required_field(fields: dict[str, str], name: str) -> str:
    """The value of a required field."""
    value = fields.get(name, "")
    if not value:
        raise grant_error("invalid_request", f"The field {name} is missing.")
    return value
