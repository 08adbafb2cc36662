"""A strict reader of one HTTP/1.1 answer, as bytes arrive. Pure.

A pod runs user code, so every length is bounded, and an answer that breaks the grammar is rejected
at the first byte that shows it. It reads the bodies of 200 and 401 only: no other status is of use,
and redirects are never followed.
"""

import re
from functools import lru_cache
from typing import NamedTuple

MAX_BYTES = 64 * 1024
"""Far above the size of a valid answer."""
MAX_HEAD = 16 * 1024
_MAX_LINE = 256
"""Of a chunk's size with its extensions, or of a trailer."""
_MAX_LINES = 1024
"""Of those lines in one answer."""
_HEADS = 256
"""Heads that are kept as read: those of a fleet differ in the length of the body only."""
_PREFIX = b"HTTP/1."
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([0-9]{3})(?: [^\r\n\0]*)?")
_HEADER = re.compile(r"([!#-'*+.^-`|~0-9A-Za-z-]+):([^\r\n\0]*)")
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n\0]*)?")
_TOO_LONG = f"longer than {MAX_BYTES} bytes"


class BadAnswerError(ValueError):
    """An answer that is not used. The message says why."""


class HttpAnswer:
    """One answer. ``feed`` returns True once it is complete, and raises ``BadAnswerError``."""

    __slots__ = (
        "_buffer",
        "_chunked",
        "_in_trailers",
        "_left",
        "_lines",
        "body",
        "keeps_alive",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is complete."""
        self.body = b""
        self.keeps_alive = False
        """Whether the connection can be used again, once the answer is complete."""
        self._buffer = bytearray()
        self._chunked = False
        self._left = 0
        """The bytes of the body, or of the current chunk, that are not read yet."""
        self._in_trailers = False
        self._lines = 0

    @property
    def is_empty(self) -> bool:
        """Whether no byte has arrived."""
        return not self.status and not self._buffer

    def feed(self, data: bytes | memoryview) -> bool:
        self._buffer += data
        if not self.status and not self._read_head():
            return False
        if not (self._read_chunks() if self._chunked else self._read_body()):
            return False
        if self._buffer:
            self.keeps_alive = False
        return True

    def _read_head(self) -> bool:
        buffer = self._buffer
        if not buffer.startswith(_PREFIX[: len(buffer)]):
            raise BadAnswerError("not HTTP/1.1")
        end = buffer.find(b"\r\n\r\n")
        if end > MAX_HEAD or (end < 0 and len(buffer) >= MAX_HEAD + 4):
            raise BadAnswerError(f"its head is longer than {MAX_HEAD} bytes")
        if end < 0:
            return False
        head = _head(bytes(buffer[:end]))
        del buffer[: end + 4]
        self.status, self.keeps_alive, self._chunked, self._left = head
        return True

    def _read_body(self) -> bool:
        if len(self._buffer) < self._left:
            return False
        self._take(self._left)
        return True

    def _read_chunks(self) -> bool:
        """Read what is complete: a chunk, or the line before or after it."""
        while not self._in_trailers:
            if self._left:
                if len(self._buffer) < self._left + 2:
                    return False
                self._read_chunk()
            line = self._line()
            if line is None:
                return False
            self._read_chunk_line(line)
        while line := self._line():
            pass
        return line is not None

    def _read_chunk(self) -> None:
        if self._buffer[self._left : self._left + 2] != b"\r\n":
            raise BadAnswerError("a chunk is invalid")
        self._take(self._left)
        del self._buffer[:2]

    def _read_chunk_line(self, line: bytes) -> None:
        found = _CHUNK_LINE.fullmatch(line)
        if found is None:
            raise BadAnswerError("the size of a chunk is invalid")
        self._left = int(found[1], 16)
        _bounded(len(self.body) + self._left)
        self._in_trailers = not self._left

    def _take(self, size: int) -> None:
        self.body += bytes(self._buffer[:size])
        del self._buffer[:size]
        self._left = 0

    def _line(self) -> bytes | None:
        """The next line, or None if it is not complete."""
        end = self._buffer.find(b"\r\n")
        if end > _MAX_LINE or (end < 0 and len(self._buffer) >= _MAX_LINE + 2):
            raise BadAnswerError("a line between its chunks is too long")
        if end < 0:
            return None
        self._lines += 1
        if self._lines > _MAX_LINES:
            raise BadAnswerError("it has too many chunks")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line


class _Head(NamedTuple):
    status: int
    keeps_alive: bool
    chunked: bool
    length: int
    """Of the body; 0 where it is chunked."""


@lru_cache(maxsize=_HEADS)
def _head(text: bytes) -> _Head:
    first, *lines = text.decode("latin-1").split("\r\n")
    found = _STATUS_LINE.fullmatch(first)
    if found is None:
        raise BadAnswerError("its status line is invalid")
    status = int(found[2])
    if status not in (200, 401):
        raise BadAnswerError(f"HTTP {found[2]}")
    headers = _framing_headers(lines)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise BadAnswerError("it is compressed")
    closes = "close" in headers.get("connection", "").lower()
    chunked, length = _framing(headers)
    return _Head(status, found[1] == "1" and not closes, chunked, length)


def _framing(headers: dict[str, str]) -> tuple[bool, int]:
    """Whether the body is chunked, and its length otherwise."""
    encoding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if (encoding is None) == (length is None):
        raise BadAnswerError("it must have either a Content-Length or chunks")
    if encoding is not None and encoding.lower() != "chunked":
        raise BadAnswerError("its Transfer-Encoding is not chunked")
    if length is None:
        return True, 0
    if not _LENGTH.fullmatch(length):
        raise BadAnswerError("its Content-Length is invalid")
    return False, _bounded(int(length))


def _framing_headers(lines: list[str]) -> dict[str, str]:
    """The headers by name in lower case. Those that frame the body may not be repeated."""
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise BadAnswerError("one of its headers is invalid")
        name = found[1].lower()
        if name in headers and name in ("content-length", "transfer-encoding"):
            raise BadAnswerError(f"{name} is repeated")
        headers[name] = found[2].strip(" \t")
    return headers


def _bounded(size: int) -> int:
    if size > MAX_BYTES:
        raise BadAnswerError(_TOO_LONG)
    return size
