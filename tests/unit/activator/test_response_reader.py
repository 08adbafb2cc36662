"""Responses of pods, read whole and byte by byte."""

import pytest

from aiapi_operator.activator.response_reader import BadResponse, ResponseReader


def read(data: bytes, method: bytes = b"GET", *, pieces: int | None = None) -> ResponseReader:
    reader = ResponseReader(method)
    size = pieces or len(data)
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    return reader


@pytest.fixture(params=[None, 1], ids=["whole", "by byte"])
def pieces(request: pytest.FixtureRequest) -> int | None:
    return request.param  # type: ignore[no-any-return]


def test_a_length_ends_the_response(pieces: int | None) -> None:
    reader = read(b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok", pieces=pieces)
    assert reader.ended
    assert reader.head is not None
    assert (reader.head.status, reader.head.reason) == (200, b"Fine")
    assert b"".join(reader.take()) == b"ok"


def test_chunks_are_read_and_trailers_dropped(pieces: int | None) -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n"
    reader = read(data, pieces=pieces)
    assert reader.ended
    assert b"".join(reader.take()) == b"abc"
    assert reader.head is not None
    assert reader.head.headers == [(b"Transfer-Encoding", b"chunked")]


def test_without_a_length_the_end_of_the_connection_ends_it(pieces: int | None) -> None:
    reader = read(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nxyz", pieces=pieces)
    assert not reader.ended
    assert reader.eof()
    assert b"".join(reader.take()) == b"xyz"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_a_response_that_stops_is_not_complete(data: bytes) -> None:
    reader = ResponseReader(b"GET")
    reader.feed(data)
    assert not reader.eof()


@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", b"200 OK"), (b"GET", b"204 No"), (b"GET", b"304 Not")]
)
def test_some_responses_have_no_body(method: bytes, status: bytes, pieces: int | None) -> None:
    data = b"HTTP/1.1 %s\r\nContent-Length: 9\r\n\r\n" % status
    assert read(data, method, pieces=pieces).ended


def test_informational_responses_come_before_the_response(pieces: int | None) -> None:
    data = b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    reader = read(data, pieces=pieces)
    assert [each.status for each in reader.informational] == [103]
    assert reader.informational[0].headers == [(b"Link", b"a")]
    assert reader.head is not None
    assert reader.head.reason == b"OK"
    assert reader.ended


def test_bytes_behind_a_switch_of_protocols_are_not_parsed() -> None:
    data = b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframe"
    reader = read(data)
    assert reader.tunnel == b"frame"
    assert not reader.ended


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 1_100_000,
    ],
)
def test_what_is_no_response_is_refused(data: bytes) -> None:
    with pytest.raises(BadResponse):
        read(data)
