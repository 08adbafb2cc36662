"""Server-sent events by the grammar, compared to a second implementation of it."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_service.gateway.upstreams.sse import Event, EventParser

Dispatched = tuple[str, str]


def reference(text: str) -> list[Dispatched]:
    """The steps of the standard, one character at a time, on the whole stream."""
    events: list[Dispatched] = []
    data, name = "", ""
    for line in _lines(text.removeprefix("\ufeff")):
        if line == "":
            if data:
                events.append((name, data[:-1]))
            data, name = "", ""
            continue
        if line.startswith(":"):
            continue
        field, value = line, ""
        if ":" in line:
            at = line.index(":")
            field, value = line[:at], line[at + 1 :]
            value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data += value + "\n"
    return events


def _lines(text: str) -> Iterator[str]:
    line, at = "", 0
    while at < len(text):
        if text[at] in "\r\n":
            yield line
            line = ""
            at += 2 if text[at : at + 2] == "\r\n" else 1
        else:
            line += text[at]
            at += 1


def parsed(pieces: list[bytes]) -> tuple[list[Dispatched], bytes]:
    parser = EventParser()
    events: list[Event] = [event for piece in pieces for event in parser.feed(piece)]
    dispatched = [(one.name, one.data.decode()) for one in events if one.data is not None]
    return dispatched, b"".join(one.raw for one in [*events, parser.finish()])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


TOKENS = ["data", "data:", "event:", "id:", "retry:", ":", " ", "\n", "\r", "\r\n", "\n\n",
          "\ufeff", "x", "[DONE]", "{}", "\0", "é", "\u2028", "\x0b", "\x85"]  # fmt: skip


@given(st.lists(st.sampled_from(TOKENS), max_size=30), st.lists(st.integers(0, 200), max_size=8))
def test_events_are_those_of_the_standard(tokens: list[str], places: list[int]) -> None:
    text = "".join(tokens)
    raw = text.encode()
    dispatched, passed = parsed(cut(raw, places))
    assert dispatched == reference(text)
    assert passed == raw, "all bytes are kept"


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_arbitrary_bytes_are_kept(pieces: list[bytes]) -> None:
    parser = EventParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    assert b"".join(one.raw for one in [*events, parser.finish()]) == b"".join(pieces)


def test_an_event_is_dispatched_at_its_blank_line() -> None:
    parser = EventParser()
    assert parser.feed(b"event: ping\rdata:1\r") == []
    assert parser.feed(b"\r") == [Event(b"event: ping\rdata:1\r\r", "ping", b"1")]
    assert parser.feed(b"\ndata: 2\n\n") == [Event(b"\ndata: 2\n\n", "", b"2")]


def test_an_event_without_its_blank_line_is_left_at_the_end() -> None:
    parser = EventParser()
    assert parser.feed(b"data: [DONE]") == []
    assert parser.finish() == Event(b"data: [DONE]", "", b"[DONE]")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_long_event_is_passed_on_in_parts_without_data(end: bytes) -> None:
    parser = EventParser()
    pieces = [b"data: " + b"x" * 600_000, b"x" * 600_000, b"data: y" + end, b"data: z" + end + end]
    first, second, third, fourth = (parser.feed(piece) for piece in pieces)
    assert (first, third) == ([], [])
    assert second == [Event(b"".join(pieces[:2]))]
    assert fourth == [Event(b"".join(pieces[2:]))], "its rest is not an event of its own"
    assert parser.feed(b"data: 1" + end + end) == [Event(b"data: 1" + end + end, "", b"1")]
