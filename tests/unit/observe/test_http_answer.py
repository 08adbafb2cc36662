"""One HTTP answer is read the same wherever it is split, and rejected when it breaks a rule."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiapi_operator.observe.http_answer import MAX_BYTES, MAX_HEAD, BadAnswerError, HttpAnswer

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*parts: bytes) -> tuple[int, bytes, bool] | str | None:
    """Status, body and whether the connection is kept; the error; or None while incomplete."""
    answer = HttpAnswer()
    try:
        for part in parts:
            if answer.feed(part):
                return answer.status, answer.body, answer.keeps_alive
    except BadAnswerError as error:
        return str(error)
    return None


def with_length(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return OK + b"content-length: %d\r\n" % len(body) + lines + b"\r\n" + body


def in_chunks(*chunks: bytes) -> bytes:
    return CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (with_length(b"{}"), (200, b"{}", True)),
        (with_length(b""), (200, b"", True)),
        (with_length(b"{}", b"Connection: close"), (200, b"{}", False)),
        (with_length(b"{}", b"CONNECTION:\tClose "), (200, b"{}", False)),
        (with_length(b"{}").replace(b"1.1", b"1.0"), (200, b"{}", False)),
        (with_length(b"{}").replace(b" OK", b""), (200, b"{}", True)),
        (with_length(b"no").replace(b"200 OK", b"401 Unauthorized"), (401, b"no", True)),
        (in_chunks(b"{", b"}"), (200, b"{}", True)),
        (in_chunks(b"x" * 300), (200, b"x" * 300, True)),
        (CHUNKED + b"1;a=b\r\n{\r\n0\r\nTrailer: 1\r\n\r\n", (200, b"{", True)),
        (with_length(b"x" * MAX_BYTES), (200, b"x" * MAX_BYTES, True)),
    ],
)
def test_answers_are_read(answer: bytes, expected: tuple[int, bytes, bool]) -> None:
    assert read(answer) == expected


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH", "not HTTP/1.1"),
        (b"\x15\x03\x01\x00\x02", "not HTTP/1.1"),
        (b"HTTP/2 200\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "its status line is invalid"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "its status line is invalid"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "HTTP 100"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "HTTP 302"),
        (b"HTTP/1.1 503 No\r\n\r\n", "HTTP 503"),
        (OK + b"\r\n", "it must have either a Content-Length or chunks"),
        (
            with_length(b"{}", b"Transfer-Encoding: chunked"),
            "it must have either a Content-Length or chunks",
        ),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "its Transfer-Encoding is not chunked"),
        (with_length(b"{}", b"Content-Length: 2"), "content-length is repeated"),
        (OK + b"Content-Length: -1\r\n\r\n", "its Content-Length is invalid"),
        (OK + b"Content-Length: +1\r\n\r\n", "its Content-Length is invalid"),
        (OK + b"Content-Length: 1_0\r\n\r\n", "its Content-Length is invalid"),
        (OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n", "its Content-Length is invalid"),
        (OK + b"Content-Length: %d\r\n\r\n" % (MAX_BYTES + 1), "longer than 65536 bytes"),
        (with_length(b"{}", b"Content-Encoding: gzip"), "it is compressed"),
        (with_length(b"{}", b"No colon"), "one of its headers is invalid"),
        (with_length(b"{}", b"Space : x"), "one of its headers is invalid"),
        (with_length(b"{}", b" folded: x"), "one of its headers is invalid"),
        (with_length(b"{}", b"A: b\nContent-Length: 9"), "one of its headers is invalid"),
        (with_length(b"{}", b"A: \x00"), "one of its headers is invalid"),
        (OK + b"A: " + b"b" * MAX_HEAD, "its head is longer than 16384 bytes"),
        (CHUNKED + b"g\r\n", "the size of a chunk is invalid"),
        (CHUNKED + b"-1\r\n", "the size of a chunk is invalid"),
        (CHUNKED + b"0x1\r\n", "the size of a chunk is invalid"),
        (CHUNKED + b"\r\n", "the size of a chunk is invalid"),
        (CHUNKED + b"1\r\n{}\r\n", "a chunk is invalid"),
        (CHUNKED + b"10001\r\n", "longer than 65536 bytes"),
        (CHUNKED + b"ffffffff\r\n", "longer than 65536 bytes"),
        (CHUNKED + b"1;" + b"a" * 300, "a line between its chunks is too long"),
        (CHUNKED + b"1\r\nx\r\n" * 1025, "it has too many chunks"),
        (CHUNKED + b"0\r\n" + b"a: b\r\n" * 1025, "it has too many chunks"),
    ],
)
def test_what_breaks_a_rule_is_rejected_wherever_it_is_split(answer: bytes, error: str) -> None:
    assert read(answer) == error
    assert read(*(answer[at : at + 1] for at in range(len(answer)))) == error


def test_a_body_is_rejected_before_it_is_read() -> None:
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    assert read(CHUNKED, *[chunk] * 4) is None
    assert read(CHUNKED, *[chunk] * 4, b"1\r\n") == "longer than 65536 bytes"


def test_bytes_after_the_answer_end_the_connection() -> None:
    assert read(with_length(b"{}") + b"H") == (200, b"{}", False)
    assert read(in_chunks(b"{}") + b"\n") == (200, b"{}", False)


def test_an_expensive_head_takes_no_time() -> None:
    began = time.process_time()
    head = OK + b"A:" + b" " * (MAX_HEAD - 100) + b"\x00\r\n\r\n"
    assert read(head) == "one of its headers is invalid"
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize("answer", [with_length(b'{"a": 1}'), in_chunks(b'{"a"', b": 1", b"}")])
def test_every_prefix_is_incomplete(answer: bytes) -> None:
    for at in range(len(answer)):
        assert read(answer[:at]) is None
        assert read(answer[:at], answer[at:]) == (200, b'{"a": 1}', True)


bodies = st.binary(max_size=400)
answers = st.one_of(
    bodies.map(with_length),
    st.lists(st.binary(min_size=1, max_size=80), max_size=6).map(lambda parts: in_chunks(*parts)),
    st.tuples(st.sampled_from([OK, CHUNKED, b"", b"HTTP/1."]), bodies).map(b"".join),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An answer with some bytes replaced."""
    answer = bytearray(draw(answers))
    for _ in range(draw(st.integers(0, 3))):
        if answer:
            at = draw(st.integers(0, len(answer) - 1))
            answer[at : at + 1] = draw(st.binary(max_size=3))
    return bytes(answer)


@settings(max_examples=300, deadline=None)
@given(damaged(), st.lists(st.integers(0, 600), max_size=8))
def test_it_does_not_matter_where_an_answer_is_split(answer: bytes, cuts: list[int]) -> None:
    whole = read(answer)
    edges = [0, *sorted(cuts), len(answer)]
    parts = [answer[start:end] for start, end in pairwise(edges)]
    split = read(*parts)
    if isinstance(whole, tuple) and isinstance(split, tuple):
        # Bytes after the answer may arrive later, on an idle connection.
        assert split[:2] == whole[:2]
        assert split[2] >= whole[2]
    else:
        assert split == whole
