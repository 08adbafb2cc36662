"""Reads a JSON body within bounds, before anything else sees it."""

import asyncio
import json
import math
import re
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from aiapi_service.gateway.problems import FieldError, ProblemError, validation_problem
from aiapi_service.gateway.settings import GatewaySettings

Model = TypeVar("Model", bound=BaseModel)
# The parser gives up at 200 levels, which is deeper than any setting allows, and names no field.
_TOO_DEEP = "recursion limit exceeded"


# Only such numbers can be larger than the largest float, about 1.8e308.
_HUGE = re.compile(rb"[eE]\+?\d{3}|\d{200}")


@dataclass(frozen=True)
class JsonBody:
    """The bytes as they came, and what they say."""

    raw: bytes
    data: dict[str, Any]

    def faithful(self) -> bytes:
        """The bytes, in which an upstream reads what was read here.

        With a key twice, parsers differ in which they take: then it is written anew.
        """
        if self.raw.count(b'"model"') == 1 and b"\\u00" not in self.raw:
            return self.raw
        return json.dumps(self.data).encode()


async def read_json(request: Request, model: type[Model], settings: GatewaySettings) -> Model:
    """The body as this model."""
    return validate(await read_json_object(request, settings), model)


async def read_json_object(request: Request, settings: GatewaySettings) -> JsonBody:
    """The body: a JSON object within the bounds of the settings."""
    depth = settings.max_depth
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        detail = f"Send the body with Content-Type: application/json, not {kind[:80]}."
        raise ProblemError(415, "not-json", "The body has the wrong type", detail)
    packed = request.headers.get("content-encoding", "identity")
    if packed != "identity":
        detail = f"Send the body as it is, not as {packed[:80]}."
        headers = {"Accept-Encoding": "identity"}
        raise ProblemError(415, "packed", "The body is packed", detail, headers=headers)
    try:
        async with asyncio.timeout(settings.body_timeout):
            raw = await _read(request, settings.max_body_bytes)
    except TimeoutError:
        raise _too_slow(settings.body_timeout) from None
    try:
        data = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        if str(error).startswith(_TOO_DEEP):
            raise _nested("", depth) from None
        raise ProblemError(400, "not-json", "The body is not JSON", str(error)) from None
    if not isinstance(data, dict):
        detail = "Send a JSON object."
        errors = [FieldError("", "is not an object")]
        raise ProblemError(
            422, "invalid-request", "The request is not valid", detail, errors=errors
        )
    # Few brackets cannot be deep: most bodies need no walk.
    if raw.count(b"[") + raw.count(b"{") > depth:
        _check_depth(data, depth)
    if _HUGE.search(raw):
        _check_finite(data)
    return JsonBody(raw, data)


def validate(body: JsonBody, model: type[Model]) -> Model:
    """The body as this model, or a problem that names the fields."""
    try:
        return model.model_validate(body.data)
    except ValidationError as error:
        raise validation_problem(error.errors(include_url=False, include_input=False)) from None


async def _read(request: Request, limit: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:19]) > limit:
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
    detail = f"The body did not come within AIAPI_BODY_TIMEOUT ({seconds:g} s)."
    headers = {"Connection": "close"}
    return ProblemError(408, "body-too-slow", "The body is too slow", detail, headers=headers)


def _too_large(limit: int) -> ProblemError:
    detail = f"The body is larger than AIAPI_MAX_BODY_BYTES ({limit})."
    errors = [FieldError("", f"is larger than {limit} bytes")]
    return ProblemError(413, "body-too-large", "The body is too large", detail, errors=errors)


def _check_depth(data: Any, limit: int) -> None:
    """Level by level, without recursion; names a place that is too deep."""
    level: list[tuple[str, Any]] = [("", data)]
    for _ in range(limit):
        deeper: list[tuple[str, Any]] = []
        for path, value in level:
            if isinstance(value, dict):
                deeper += [(path or str(key)[:80], one) for key, one in value.items()]
            else:
                deeper += [(path, one) for one in value]
        level = [(path, value) for path, value in deeper if isinstance(value, dict | list)]
        if not level:
            return
    raise _nested(level[0][0], limit)


def _check_finite(data: Any) -> None:
    """1e400 is read as infinity, which no JSON can say to whoever it is passed on to."""
    places: list[tuple[str, Any]] = [("", data)]
    while places:
        path, value = places.pop()
        if isinstance(value, dict):
            places += [(f"{path}.{key}".removeprefix(".")[:200], one) for key, one in value.items()]
        elif isinstance(value, list):
            places += [(f"{path}[{at}]"[:200], one) for at, one in enumerate(value)]
        elif isinstance(value, float) and math.isinf(value):
            found = FieldError(path, "is a number that is too large")
            detail = f"{path}: {found.message}"
            raise ProblemError(
                422, "invalid-request", "The request is not valid", detail, errors=[found]
            )


def _nested(field: str, limit: int) -> ProblemError:
    found = FieldError(field, f"is nested deeper than AIAPI_MAX_DEPTH ({limit})")
    detail = f"{field or 'body'}: {found.message}"
    return ProblemError(422, "too-deep", "The request is nested too deeply", detail, errors=[found])
