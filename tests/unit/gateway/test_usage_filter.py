"""Streams pass through unchanged, however they are split into pieces."""

import json
from itertools import pairwise

import pytest
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
    piece = b"data: " + b"x" * 600_000
    assert watcher.feed(piece) == b""
    assert len(watcher.feed(piece)) == 2 * len(piece)


def _choice(reason: str | None, index: int = 0) -> bytes:
    choice = {"index": index, "delta": {"content": "x"}, "finish_reason": reason}
    return json.dumps({"choices": [choice]}).encode()


_STOP, _MORE = _choice("stop"), _choice(None)


@pytest.mark.parametrize(
    ("stream", "is_complete"),
    [
        (b"data:" + _MORE + b"\n\ndata:[DONE]\n\n", True),
        (b"data: [DONE]\n\n: bye\n\n\n\n", True),
        (b"data: [DONE]\r\r", True),
        (b"data: [DONE]", True),
        (b"\xef\xbb\xbfdata: [DONE]\n\n", True),
        (b"event: message\nid: 7\ndata: " + _STOP + b"\n\n", True),
        (b"data: " + _STOP + b"\n\ndata: {}\n\n: ping\n\n", True),
        (b"data: " + _STOP + b"\n\n" + USAGE, True),
        (b"data: " + _MORE + b"\n\n" + USAGE, True),
        (b"data: " + _STOP.replace(b", ", b",\ndata: ") + b"\n\n", True),
        (b"data: " + _STOP, True),
        (b'event: error\ndata: {"message": "no"}\n\n', True),
        (b'data: {"error": {"message": "no"}}\n\n', True),
        (b'event: response.completed\ndata: {"type":"response.completed"}\n\n', True),
        (b'data: {"type":"response.incomplete"}\n\n', True),
        (b"", False),
        (b": [DONE]\n\n", False),
        (b"data: " + _MORE + b"\n\n", False),
        (b"data: " + _choice("") + b"\n\n", False),
        (b"data: " + _STOP[:-5], False),
        (
            b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta"}\n\n',
            False,
        ),
        (b'data: {"choices":[{"delta":{"content":"data: [DONE]\\n\\n"}}]}\n\n', False),
    ],
)
def test_the_end_of_the_text_is_found_by_the_grammar(stream: bytes, is_complete: bool) -> None:
    for places in ([], [1, 2, 3, 5, 8, 13, 21, 34, 55], list(range(len(stream)))):
        watcher = UsageFilter(hide_usage=False)
        assert through(watcher, cut(stream, places) if stream else []) == stream
        assert watcher.is_complete == is_complete


def test_all_choices_must_finish() -> None:
    watcher = UsageFilter(hide_usage=False)
    watcher.feed(b"data: " + _choice("stop", 0) + b"\n\n")
    assert watcher.is_complete
    watcher.feed(b"data: " + _choice(None, 1) + b"\n\n")
    assert not watcher.is_complete
    watcher.feed(b"data: " + _choice("length", 1) + b"\n\n")
    assert watcher.is_complete


def test_the_usage_of_a_streamed_response_is_counted() -> None:
    usage = {"input_tokens": 7, "output_tokens": 3.0}
    data = {"type": "response.completed", "response": {"usage": usage}}
    watcher = UsageFilter(hide_usage=True)
    watcher.feed(b"data: " + json.dumps(data).encode() + b"\n\n")
    assert watcher.tokens == TokenCounts(7, 3)
