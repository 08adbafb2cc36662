"""Streams pass through unchanged, however they are split into pieces."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aiapi_service.gateway.upstreams.usage import TokenCounts
from aiapi_service.gateway.upstreams.usage_filter import UsageFilter

USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}\n\n'
DELTA = b'data: {"choices": [{"delta": {"content": "x"}}], "usage": null}\n\n'
DONE = b"data: [DONE]\n\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % len(data) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


def through(watcher: UsageFilter, pieces: list[bytes]) -> bytes:
    return b"".join(watcher.feed(piece) for piece in pieces) + watcher.flush()


@given(st.lists(st.integers(0, 500), max_size=8))
def test_the_usage_event_is_hidden(places: list[int]) -> None:
    watcher = UsageFilter(hide_usage=True)
    assert through(watcher, cut(DELTA + DELTA + USAGE + DONE, places)) == DELTA + DELTA + DONE
    assert watcher.tokens == TokenCounts(7, 3)


@given(st.lists(st.integers(0, 500), max_size=8))
def test_nothing_is_changed_if_usage_is_not_hidden(places: list[int]) -> None:
    data = (DELTA + USAGE + DONE).replace(b"\n\n", b"\r\n\r\n")
    watcher = UsageFilter(hide_usage=False)
    assert through(watcher, cut(data, places)) == data
    assert watcher.tokens == TokenCounts(7, 3)


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_arbitrary_bytes_pass_through_unchanged(pieces: list[bytes]) -> None:
    assert through(UsageFilter(hide_usage=True), pieces) == b"".join(pieces)


def test_a_complete_event_passes_through_at_once() -> None:
    watcher = UsageFilter(hide_usage=True)
    assert watcher.feed(DELTA) == DELTA
    assert watcher.feed(DELTA[:10]) == b""
    assert watcher.feed(DELTA[10:]) == DELTA


def test_usage_beside_a_choice_is_not_hidden() -> None:
    data = {"choices": [{"delta": {}}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    event = b"data: " + json.dumps(data).encode() + b"\n\n"
    watcher = UsageFilter(hide_usage=True)
    assert through(watcher, [event]) == event
    assert watcher.tokens == TokenCounts(1, 2)


def test_an_unfinished_event_is_not_buffered_without_bound() -> None:
    watcher = UsageFilter(hide_usage=True)
    piece = b'"usage"' + b"x" * 600_000
    assert watcher.feed(piece) == b""
    assert len(watcher.feed(piece)) == 2 * len(piece)
