"""Bodies are bounded on their bytes, before a value of them is created."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from aiapi_service.gateway import body_bounds
from aiapi_service.gateway.answer.schemas import AnswerRequest
from aiapi_service.gateway.body import JsonBody, parse, validate
from aiapi_service.gateway.body_bounds import Shape, measure
from aiapi_service.gateway.documents.schemas import PutDocuments, SearchRequest
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.schemas.chat import ChatRequest
from aiapi_service.gateway.schemas.embeddings import EmbeddingsRequest
from aiapi_service.gateway.schemas.fanout import FanoutRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    below = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, below), default=0)


@given(JSON)
def test_the_depth_is_found_whatever_the_texts_contain(value: Any) -> None:
    for ascii_only in (True, False):
        shape = measure(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "replace"))
        assert isinstance(shape, Shape)
        # The depth of a body with few containers is not computed.
        assert shape.depth >= depth(value)
        assert shape.depth == depth(value) or shape.depth <= 4


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"a":[' + b"{}," * 50_000 + b"1]}", "has more than 50,000 objects and arrays"),
        (b'{"a":[' + b"[]," * 50_000 + b"1]}", "has more than 50,000 objects and arrays"),
        (b'{"a":[' + b"1," * 500_000 + b"1]}", "has more than 500,000 values"),
        (b'{"a":[' + b'"",' * 1_100_000 + b"1]}", "has more than 500,000 values"),
        (b'{"a":' + b"1" * 513 + b"}", "has more than 512 characters in a number"),
        (b'{"a":-' + b"1" * 513 + b"e9}", "has more than 512 characters in a number"),
    ],
)
def test_a_body_over_a_bound_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        parse(raw, 32)
    assert refusal.value.status == 422
    assert refusal.value.detail == f"body: {message}"


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps({"a": "{[,:]}" * 200_000}).encode(),
        json.dumps({"a": '"\\' * 1_500_000}).encode(),
        json.dumps({"a": "1" * 5000}).encode(),
        json.dumps({"input": list(range(300_000))}).encode(),
    ],
)
def test_long_texts_and_token_lists_are_within_the_bounds(raw: bytes) -> None:
    assert parse(raw, 32).data == json.loads(raw)


@pytest.mark.parametrize("number", ["1e400", "-1e+999", "1" * 400, "1" * 400 + ".0"])
def test_an_infinite_number_is_refused_with_its_field(number: str) -> None:
    raw = f'{{"a": {{"b": [0, {{}}, {number}]}}}}'.encode()
    if number.isdecimal():
        assert parse(raw, 32).data["a"]["b"][2] == int(number)
        return
    with pytest.raises(ProblemError, match=r"a\.b\[2\]: is too large a number"):
        parse(raw, 32)


def test_the_field_that_is_nested_too_deeply_is_named() -> None:
    data = {"a": [[1]], "b": [[[[1]]]], "c": {"d": 1}}
    assert body_bounds.field_below(data, 4) == "b"
    assert body_bounds.field_below(data, 5) == ""


MANY_FIELDS = {f"x{index}": 1 for index in range(1000)}


@pytest.mark.parametrize(
    ("model", "data", "field"),
    [
        (ChatRequest, {"model": "m", "messages": [{"role": "x"}] * 100}, "messages[0].role"),
        (
            ChatRequest,
            {"model": "m", "messages": [{"role": "user", "content": [{"type": 1}] * 100}]},
            "messages[0].content[0].type",
        ),
        (EmbeddingsRequest, {"model": "m", "input": [""] * 100}, "input[0]"),
        (EmbeddingsRequest, {"model": "m", "input": [[-1] * 100]}, "input[0][0]"),
        (FanoutRequest, {"model": "m", "prompts": [1] * 60}, "prompts[0]"),
        (FanoutRequest, {"prompt": "x", "models": [1] * 60}, "models[0]"),
        (PutDocuments, {"documents": [{}] * 100}, "documents[0].content"),
        (ChatRequest, {"model": "m", "messages": [{"role": "user"}], **MANY_FIELDS}, ""),
        (FanoutRequest, MANY_FIELDS, ""),
        (SearchRequest, MANY_FIELDS, ""),
        (AnswerRequest, MANY_FIELDS, ""),
        (PutDocuments, {"documents": [MANY_FIELDS]}, "documents[0]"),
    ],
)
def test_invalid_items_are_not_all_reported(
    model: type[BaseModel], data: dict[str, Any], field: str
) -> None:
    with pytest.raises(ProblemError) as refusal:
        validate(JsonBody(b"", data), model)
    fields = [error.field for error in refusal.value.errors]
    assert field in fields
    assert len(fields) <= 8, "one for each member of a union"
