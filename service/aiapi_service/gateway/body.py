"""Reads and validates JSON bodies within limits of size, time and shape."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from aiapi_service.gateway import body_bounds
from aiapi_service.gateway.problems import FieldError, ProblemError, validation_problem
from aiapi_service.gateway.settings import GatewaySettings

Model = TypeVar("Model", bound=BaseModel)
# Error of the parser at 200 levels, more than AIAPI_MAX_DEPTH allows. It names no field.
_TOO_DEEP = "recursion limit exceeded"


_INTEGERS = (
    "max_tokens", "max_completion_tokens", "max_output_tokens",
    "n", "best_of", "seed", "dimensions",
)  # fmt: skip


@dataclass(frozen=True)
class JsonBody:
    """A body as received and as parsed."""

    raw: bytes
    data: dict[str, Any]

    def unambiguous(self) -> bytes:
        """Bytes that every upstream parses to the same data.

        Parsers differ on duplicate keys, so a body that may have them is serialized again.
        """
        if self.raw.count(b'"model"') == 1 and b"\\u00" not in self.raw:
            return self.raw
        return json.dumps(self.data).encode()

    def with_integers(self) -> "JsonBody":
        """The body with integers where they were written as 5.0, which strict upstreams refuse."""
        whole = {
            name: int(value)
            for name in _INTEGERS
            if type(value := self.data.get(name)) is float and value.is_integer()
        }
        data = {**self.data, **whole}
        return JsonBody(json.dumps(data).encode(), data) if whole else self


async def read_json(request: Request, model: type[Model], settings: GatewaySettings) -> Model:
    """The body as an instance of the model."""
    return validate(await read_json_object(request, settings), model)


async def read_json_object(request: Request, settings: GatewaySettings) -> JsonBody:
    """The body, a JSON object within the limits of the settings."""
    media_type = (
        request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    )
    if media_type != "application/json" and not media_type.endswith("+json"):
        detail = f"Send the body with Content-Type: application/json, not {media_type[:80]}."
        raise ProblemError(415, "not-json", "The body has the wrong content type", detail)
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        detail = f"Send the body without Content-Encoding: {encoding[:80]}."
        headers = {"Accept-Encoding": "identity"}
        raise ProblemError(415, "packed", "The body is compressed", detail, headers=headers)
    return parse(await read_body(request, settings), settings.max_depth)


async def read_body(request: Request, settings: GatewaySettings) -> bytes:
    """The bytes of the body, within the limits of size and time."""
    try:
        async with asyncio.timeout(settings.body_timeout):
            return await _read(request, settings.max_body_bytes)
    except TimeoutError:
        raise _too_slow(settings.body_timeout) from None


def parse(raw: bytes, max_depth: int) -> JsonBody:
    """Parse a body, a JSON object within the bounds."""
    shape = body_bounds.measure(raw)
    if isinstance(shape, body_bounds.Excess):
        raise _invalid([FieldError("", str(shape))])
    try:
        data = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        if str(error).startswith(_TOO_DEEP):
            raise _nested("", max_depth) from None
        raise ProblemError(400, "not-json", "The body is not JSON", str(error)) from None
    if not isinstance(data, dict):
        raise _invalid([FieldError("", "is not an object")])
    if shape.depth > max_depth:
        raise _nested(body_bounds.field_below(data, max_depth), max_depth)
    # 1e400 is parsed as infinity, which JSON cannot represent on the way to an upstream.
    if shape.may_overflow and (field := body_bounds.infinite_field(data)) is not None:
        raise _invalid([FieldError(field.removeprefix(".")[:200], "is too large a number")])
    return JsonBody(raw, data)


def _invalid(errors: list[FieldError]) -> ProblemError:
    detail = f"{errors[0].field or 'body'}: {errors[0].message}"
    return ProblemError(422, "invalid-request", "The request is not valid", detail, errors=errors)


def validate(body: JsonBody, model: type[Model]) -> Model:
    """The body as an instance of the model; raises a problem that names the fields."""
    try:
        return model.model_validate(body.data)
    except ValidationError as error:
        raise validation_problem(error.errors(include_url=False, include_input=False)) from None


async def _read(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:19]) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


def _too_slow(seconds: float) -> ProblemError:
    detail = f"The body was not received within AIAPI_BODY_TIMEOUT ({seconds:g} s)."
    headers = {"Connection": "close"}
    return ProblemError(
        408, "body-too-slow", "The body was not received in time", detail, headers=headers
    )


def _too_large(limit: int) -> ProblemError:
    detail = f"The body is larger than AIAPI_MAX_BODY_BYTES ({limit})."
    errors = [FieldError("", f"is larger than {limit} bytes")]
    return ProblemError(413, "body-too-large", "The body is too large", detail, errors=errors)


def _nested(field: str, limit: int) -> ProblemError:
    found = FieldError(field, f"is nested deeper than AIAPI_MAX_DEPTH ({limit})")
    detail = f"{field or 'body'}: {found.message}"
    return ProblemError(422, "too-deep", "The request is nested too deeply", detail, errors=[found])
