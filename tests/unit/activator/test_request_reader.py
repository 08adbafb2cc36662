"""Requests that servers may read in different ways are refused; all others are read as h11 does."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_operator.activator.head import chunk
from aiapi_operator.activator.request_reader import HEAD_BYTES, BadRequest, RequestReader

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, *, pieces: int | None = None) -> RequestReader:
    reader = RequestReader()
    size = pieces or len(data)
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    return reader


@pytest.mark.parametrize("pieces", [None, 1])
@pytest.mark.parametrize(
    "data",
    [
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        POST + b"Content-Length: 3, 3\r\n\r\nabc",
        POST + b"Content-Length: +3\r\n\r\nabc",
        POST + b"Content-Length: -3\r\n\r\nabc",
        POST + b"Content-Length: 0x3\r\n\r\nabc",
        POST + b"Content-Length:\r\n\r\nabc",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"3\nabc\n0\n\n",
        CHUNKED + b"fffffffffffffffff\r\nabc",
        CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.7\r\nHost: a\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(data: bytes, pieces: int | None) -> None:
    with pytest.raises(BadRequest) as raised:
        read(data, pieces=pieces)
    assert raised.value.answer.status == 400


@pytest.mark.parametrize("pieces", [None, 1000])
def test_a_head_beyond_its_bound_is_refused(pieces: int | None) -> None:
    for head in (b"X: " + bytes([97]) * HEAD_BYTES + b"\r\n", b"X: y\r\n" * 300):
        with pytest.raises(BadRequest) as raised:
            read(b"GET / HTTP/1.1\r\n" + head + b"\r\n", pieces=pieces)
        assert raised.value.answer.status == 431


def test_a_head_that_never_ends_is_refused() -> None:
    with pytest.raises(BadRequest):
        read(b"GET / HTTP/1.1\r\nX: " + b"a" * (HEAD_BYTES + 10), pieces=500)


def test_trailers_beyond_the_bound_are_refused() -> None:
    with pytest.raises(BadRequest):
        read(CHUNKED + b"0\r\n" + b"X: aaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 5000, pieces=1000)


def test_a_large_head_within_the_bound_is_read() -> None:
    head = b"GET / HTTP/1.1\r\nX: " + b"a" * (HEAD_BYTES - 100) + b"\r\n\r\n"
    assert read(head, pieces=1000).ended


def test_bytes_behind_the_request_are_ignored() -> None:
    reader = read(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\nbroken")
    assert reader.ended
    assert reader.head is not None
    assert reader.head.target == b"/1"
    assert reader.take() == b""


def test_bytes_behind_a_websocket_handshake_belong_to_it() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    reader = read(head + b"frame")
    assert reader.ended
    assert reader.take() == b"frame"


@pytest.mark.parametrize("pieces", [None, 1])
@pytest.mark.parametrize("framing", [b"Content-Length: 3\r\n\r\nabc", None])
def test_an_upgrade_that_is_not_passed_on_keeps_its_body(
    framing: bytes | None, pieces: int | None
) -> None:
    rest = framing or b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    reader = read(
        POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + rest, pieces=pieces
    )
    assert reader.ended
    assert reader.head is not None
    assert reader.head.method == b"POST"
    assert reader.take() == b"abc"


TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).filter(
    lambda name: name not in ("host", "connection", "upgrade", "content-length", "te")
)
VALUE = st.text('abc XYZ,;=\t"', max_size=30)


@given(
    method=st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"]),
    target=st.text("abc/?&=%20", max_size=20),
    headers=st.lists(st.tuples(TOKEN, VALUE), max_size=6),
    body=st.lists(st.binary(min_size=1, max_size=40), max_size=4),
    chunked=st.booleans(),
    cuts=st.lists(st.integers(0, 500), max_size=8),
)
def test_requests_are_read_as_h11_does_wherever_they_are_split(  # noqa: PLR0917 - drawn
    method: bytes,
    target: str,
    headers: list[tuple[str, str]],
    body: list[bytes],
    chunked: bool,
    cuts: list[int],
) -> None:
    data = _request(method, target, headers, body, chunked=chunked)
    reader, taken, last = RequestReader(), b"", 0
    for cut in [*sorted(cuts), len(data)]:
        if last < min(cut, len(data)):
            reader.feed(data[last:cut])
            taken += reader.take()
            last = min(cut, len(data))
    expected, expected_body = _by_h11(data)
    assert reader.ended
    assert reader.head is not None
    assert (reader.head.method, reader.head.target) == (expected.method, expected.target)
    read_headers = [(name.lower(), value.strip()) for name, value in reader.head.headers]
    assert read_headers == list(expected.headers)
    assert taken == expected_body == b"".join(body)


def _request(
    method: bytes,
    target: str,
    headers: list[tuple[str, str]],
    body: list[bytes],
    *,
    chunked: bool,
) -> bytes:
    lines = [b"%s /%s HTTP/1.1" % (method, target.encode()), b"host: a"]
    lines += [f"{name}: {value.strip()}".encode() for name, value in headers]
    lines.append(
        b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(b"".join(body))
    )
    pieces = [*map(chunk, body), b"0\r\n\r\n"] if chunked else body
    return b"\r\n".join([*lines, b"", b""]) + b"".join(pieces)


def _by_h11(data: bytes) -> tuple[h11.Request, bytes]:
    connection, body, request = h11.Connection(h11.SERVER), b"", None
    connection.receive_data(data)
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            return request, body
