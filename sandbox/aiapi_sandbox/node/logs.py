"""Container logs: captured from a pipe into files of bounded size, and read with filters.

As in a container runtime, every line is stored with its arrival time, for `--timestamps` and
`--since`. Each run of a container has a current and an older file, which keep the newest output.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiapi_sandbox.pipe_end import PipeEnd

MAX_BYTES = 4 * 1024 * 1024
MAX_LINE = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """The supported options of a log request."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None


class LogFile:
    """The log of one run of a container."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._older = path.with_suffix(".older")
        self._max_bytes = max_bytes
        self._file = path.open("ab", buffering=0)
        self._size = 0
        self._total = 0
        self._changed = asyncio.Event()
        self.finished = False

    def write(self, lines: bytes) -> None:
        """Append complete lines. At the size limit, the older half is dropped."""
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
        """Mark the log as complete, which ends followers."""
        self.finished = True
        self._file.close()
        self._wake()

    def remove(self) -> None:
        """Delete the files of a finished run."""
        for path in (self._path, self._older):
            path.unlink(missing_ok=True)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def content(self) -> bytes:
        """The kept output, oldest first."""
        parts = []
        for path in (self._older, self._path):
            with suppress(FileNotFoundError):
                parts.append(path.read_bytes())
        return b"".join(parts)

    async def read(self, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the selected output; with `follow`, until the run ends."""
        budget = options.limit_bytes
        seen = self._total
        for chunk in select_lines(self.content(), options):
            part, budget = _limit(chunk, budget)
            yield part
        while options.follow and budget != 0:
            changed = self._changed
            if self._total > seen:
                kept = self.content()
                added = kept[-(self._total - seen) :]
                seen = self._total
                for chunk in select_lines(added, LogOptions(timestamps=options.timestamps)):
                    part, budget = _limit(chunk, budget)
                    yield part
            elif self.finished:
                return
            else:
                await changed.wait()


def _limit(chunk: bytes, budget: int | None) -> tuple[bytes, int | None]:
    if budget is None:
        return chunk, None
    return chunk[:budget], max(0, budget - len(chunk))


def select_lines(content: bytes, options: LogOptions) -> Iterator[bytes]:
    """Apply `since`, `tail_lines` and `timestamps` to stored lines; yield at most one block."""
    lines = content.splitlines(keepends=True)
    if options.since is not None:
        start = f"{log_timestamp(options.since)} ".encode()
        lines = [line for line in lines if line >= start]
    if options.tail_lines is not None:
        lines = lines[-options.tail_lines :] if options.tail_lines > 0 else []
    if not options.timestamps:
        lines = [line.partition(b" ")[2] for line in lines]
    if lines:
        yield b"".join(lines)


def log_timestamp(moment: datetime) -> str:
    """RFC 3339 with nanoseconds and fixed width, so that text order is time order."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


class _CaptureProtocol(asyncio.Protocol):
    """Splits a pipe's bytes into timestamped lines."""

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
    """A pipe whose write end is a process's output and whose read end fills a LogFile."""

    def __init__(self, transport: asyncio.ReadTransport, protocol: _CaptureProtocol) -> None:
        self._transport = transport
        self._protocol = protocol

    @classmethod
    async def open(cls, log: LogFile) -> tuple["LogCapture", int]:
        """Return the capture and the write end, which the caller must close."""
        reader, writer = os.pipe()
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_read_pipe(
            lambda: _CaptureProtocol(log), PipeEnd(reader)
        )
        return cls(transport, protocol), writer

    async def close(self, *, wait_seconds: float = 1.0) -> None:
        """Read the remaining data, then close it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._protocol.closed.wait()
        self._transport.close()
