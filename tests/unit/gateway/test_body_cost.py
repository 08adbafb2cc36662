"""A small body must not cost much more CPU than an ordinary one of the same size."""

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from time import process_time

import pytest
from pydantic import BaseModel

from aiapi_service.gateway.answer.schemas import AnswerRequest
from aiapi_service.gateway.body import parse, validate
from aiapi_service.gateway.documents.schemas import PutDocuments, SearchRequest
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.schemas.chat import ChatRequest
from aiapi_service.gateway.schemas.embeddings import EmbeddingsRequest
from aiapi_service.gateway.schemas.fanout import FanoutRequest

SIZE = 100_000
MAX_DEPTH = 32
# Without the bounds, lists of invalid items and unknown fields cost more than 90 times as much.
MAX_RATIO = 30
MODELS: tuple[type[BaseModel], ...] = (
    ChatRequest,
    EmbeddingsRequest,
    FanoutRequest,
    PutDocuments,
    SearchRequest,
    AnswerRequest,
)
# What is repeated, and what it is put into.
PIECES = [
    "{}", "[]", "0", "1", "5.0", "1e100", "-1", "1" * 199, "9" * 500, "true", "null", '""', '"a"',
    '"\\u0000"', '"\\\\"', '"\\""', '{"type":1}', '{"type":"text"}', '{"type":"text","text":1}',
    '{"role":"x"}', '{"role":"user"}', '{"role":"user","content":[]}',
    '{"role":"user","content":"a"}', '{"role":"user","content":[{"type":1}]}', '{"content":"a"}',
    '{"content":1,"x":1}', '[1]', "[[]]",
    '{"a":{"a":{"a":{}}}}', "[[[[[[]]]]]]",
]  # fmt: skip
PLACES = [
    '{"model":"m","messages":[%s]}',
    '{"model":"m","messages":[{"role":"user","content":[%s]}]}',
    '{"model":"m","messages":[{"role":"user"}],"x":[%s]}',
    '{"model":"m","messages":[{"role":"user"}],"stop":[%s]}',
    '{"model":"m","input":[%s]}',
    '{"model":"m","input":[[%s]]}',
    '{"model":"m","prompts":[%s]}',
    '{"model":"m","prompts":[[%s]]}',
    '{"models":[%s],"prompt":"a"}',
    '{"model":"m","prompts":["a"],"parameters":{"x":[%s]}}',
    '{"documents":[%s]}',
    '{"documents":[{"content":"a","metadata":{"x":[%s]}}]}',
    '{"query":"a","filter":{"x":[%s]}}',
    '{"question":"a","filter":{"x":[%s]}}',
    "%s",
]
# Objects with many keys, for models that refuse unknown ones.
KEYED = ['{"model":"m","messages":[{"role":"user"}],%s}', '{"query":"a",%s}', "{%s}",
         '{"documents":[{"content":"a",%s}]}', '{"model":"m","messages":[{%s}]}']  # fmt: skip


def fill(place: str, pieces: list[str], *, keyed: bool = False) -> bytes:
    room, made, index = SIZE - len(place), [], 0
    while room > 0:
        piece = pieces[index % len(pieces)]
        made.append(f'"{index:x}":{piece}' if keyed else piece)
        room -= len(made[-1]) + 1
        index += 1
    return (place % ",".join(made[:-1])).encode()


def read(raw: bytes) -> None:
    with suppress(ProblemError):
        body = parse(raw, MAX_DEPTH)
        for model in MODELS:
            with suppress(ProblemError):
                validate(body, model)


def cost(raw: bytes, *, rounds: int = 3) -> float:
    """CPU seconds: the least of several rounds, since other processes disturb each."""

    def once() -> float:
        began = process_time()
        read(raw)
        return process_time() - began

    return min(once() for _ in range(rounds))


def ordinary() -> bytes:
    """A long chat of short messages."""
    message = json.dumps({"role": "user", "content": "Where is my order? It is late."})
    return fill(PLACES[0], [message])


def candidates(rand: random.Random) -> Iterator[bytes]:
    for piece in PIECES:
        for place in PLACES:
            yield fill(place, [piece])
        for place in KEYED:
            yield fill(place, [piece], keyed=True)
    for _ in range(150):
        pieces = rand.choices(PIECES, k=rand.randint(2, 5))
        keyed = rand.random() < 0.2
        yield fill(rand.choice(KEYED if keyed else PLACES), pieces, keyed=keyed)


@pytest.mark.slow
def test_no_body_costs_much_more_than_an_ordinary_one() -> None:
    worst = max(candidates(random.Random(7)), key=lambda raw: cost(raw, rounds=1))  # noqa: S311 - a search
    ratio = cost(worst) / cost(ordinary(), rounds=10)
    assert ratio < MAX_RATIO, f"{ratio:.0f} times: {worst[:120]!r}"
