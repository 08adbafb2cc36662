"""The head that frames the body of a request whose upgrade is not taken."""

import pytest

from aiapi_runtime.limits.framing import framing_of

HOST = (b"host", b"x")
UPGRADE = (b"upgrade", b"h2c")


@pytest.mark.parametrize(
    ("version", "headers", "head"),
    [
        ("1.1", [HOST, UPGRADE], b"POST / HTTP/1.1\r\n\r\n"),
        (
            "1.1",
            [(b"connection", b"close, Upgrade"), UPGRADE, (b"content-length", b"5")],
            b"POST / HTTP/1.1\r\ncontent-length: 5\r\nconnection: close\r\n\r\n",
        ),
        (
            "1.0",
            [(b"transfer-encoding", b"gzip, chunked"), (b"x", b"content-length")],
            b"POST / HTTP/1.0\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        ),
    ],
)
def test_only_what_frames_the_body_is_kept(version, headers, head):
    assert framing_of(version, headers) == head
