"""Container output: captured from a pipe into files of bounded size, read as `kubectl logs` asks.

Every line is stored behind the time at which it arrived, as a kubelet's runtime does, so that
`--timestamps` and `--since` work on what was written before anybody asked. A container's run has
one file and one older one; together they keep the newest output.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MAX_BYTES = 4 * 1024 * 1024
MAX_LINE = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """The options of the log route that the sandbox knows."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None


class LogFile:
    """The output of one run of one container."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._older = path.with_suffix(".older")
        self._max_bytes = max_bytes
        self._file = path.open("ab", buffering=0)
        self._size = 0
        self._total = 0
        self._grown = asyncio.Event()
        self.finished = False

    def write(self, lines: bytes) -> None:
        """Append whole lines; the older half goes when the bound is reached."""
        if self._size + len(lines) > self._max_bytes // 2 and self._size:
            self._file.close()
            self._path.replace(self._older)
            self._file = self._path.open("ab", buffering=0)
            self._size = 0
        self._file.write(lines)
        self._size += len(lines)
        self._total += len(lines)
        self._wake()

    def finish(self) -> None:
        """Say that nothing more will come, so that followers end."""
        self.finished = True
        self._file.close()
        self._wake()

    def remove(self) -> None:
        """Delete the files of a finished run."""
        for path in (self._path, self._older):
            path.unlink(missing_ok=True)

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    def content(self) -> bytes:
        """All that is kept, oldest first."""
        parts = []
        for path in (self._older, self._path):
            with suppress(FileNotFoundError):
                parts.append(path.read_bytes())
        return b"".join(parts)

    async def read(self, query: LogOptions) -> AsyncIterator[bytes]:
        """Yield what the query selects; with `follow`, also what comes until the run ends."""
        budget = query.limit_bytes
        seen = self._total
        for chunk in select_lines(self.content(), query):
            part, budget = _within(chunk, budget)
            yield part
        while query.follow and budget != 0:
            grown = self._grown
            if self._total > seen:
                kept = self.content()
                fresh = kept[-(self._total - seen) :]
                seen = self._total
                for chunk in select_lines(fresh, LogOptions(timestamps=query.timestamps)):
                    part, budget = _within(chunk, budget)
                    yield part
            elif self.finished:
                return
            else:
                await grown.wait()


def _within(chunk: bytes, budget: int | None) -> tuple[bytes, int | None]:
    if budget is None:
        return chunk, None
    return chunk[:budget], max(0, budget - len(chunk))


def select_lines(content: bytes, query: LogOptions) -> Iterator[bytes]:
    """Apply `since`, `tail` and `timestamps` to stored lines; yields one block of text."""
    lines = content.splitlines(keepends=True)
    if query.since is not None:
        start = f"{log_timestamp(query.since)} ".encode()
        lines = [line for line in lines if line >= start]
    if query.tail_lines is not None:
        lines = lines[-query.tail_lines :] if query.tail_lines > 0 else []
    if not query.timestamps:
        lines = [line.partition(b" ")[2] for line in lines]
    if lines:
        yield b"".join(lines)


def log_timestamp(moment: datetime) -> str:
    """RFC 3339 with nanosecond digits and a fixed width, so that text order is time order."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


class _CaptureProtocol(asyncio.Protocol):
    """Cut a pipe's bytes into stamped lines."""

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self._pending = b""
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > MAX_LINE:
            lines.append(self._pending)
            self._pending = b""
        self._store(lines)

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._pending:
            self._store([self._pending])
        self._log.finish()
        self.closed.set()

    def _store(self, lines: list[bytes]) -> None:
        if lines:
            prefix = f"{log_timestamp(datetime.now(UTC))} ".encode()
            self._log.write(b"".join(prefix + line + b"\n" for line in lines))


class LogCapture:
    """A pipe whose writing end is given to a process and whose reading end fills a LogFile."""

    def __init__(self, transport: asyncio.ReadTransport, protocol: _CaptureProtocol) -> None:
        self._transport = transport
        self._protocol = protocol

    @classmethod
    async def open(cls, log: LogFile) -> tuple["LogCapture", int]:
        """Return the capture and the descriptor to write to, which the caller closes."""
        reader, writer = os.pipe()
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_read_pipe(
            lambda: _CaptureProtocol(log), os.fdopen(reader, "rb", 0)
        )
        return cls(transport, protocol), writer

    async def close(self, *, wait_seconds: float = 1.0) -> None:
        """Take what is still in the pipe, then let go."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._protocol.closed.wait()
        self._transport.close()
