"""Traces: CSV files of request timestamps, or of requests per second or minute, plain or gz.

A file is read line by line, so its size does not matter. A trace keeps one count per second, and
the timestamps if there are at most ``MAX_TIMESTAMPS``. For a longer file the arrival times within
each second are random.

Invalid input raises ``TraceError`` with the line.
"""

import csv
import gzip
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TIMESTAMP_COLUMN = "arrival_s"
COUNT_COLUMN = "requests_per_second"
MINUTE_COLUMN = "requests_per_minute"
TIME_COLUMN = "timestamp"
"""ISO 8601. Alone, the time of one request per line; beside a count, the time of the count."""
_COUNTS = {COUNT_COLUMN: 1, MINUTE_COLUMN: 60}
"""Seconds that a row stands for."""
_SEED = 506
"""Of the requests within a minute, of which only the sum is known."""
MAX_TIMESTAMPS = 5_000_000
MAX_PER_SECOND = 1e6
MAX_JUMP = 86_400.0
"""Seconds between two timestamps above which the file is considered wrong."""
MAX_TIME = 4_102_444_800.0
"""Unix time of the year 2100."""
MAX_SECONDS = 366 * 86_400
GAP_EXPECTED_REQUESTS = 50.0
"""A time without requests is a gap in the recording if this many were expected in it."""
MIN_GAP = 10
MAX_LINE_BYTES = 1_000_000
_GZIP = b"\x1f\x8b"


class TraceError(ValueError):
    """The trace is invalid. The message names the line and the problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Requests in each second from 0, and their exact times if known."""

    name: str
    counts: Floats
    timestamps: Floats | None = None
    notes: tuple[str, ...] = ()
    start_time: float = 0.0
    """Unix time of second 0, for daily patterns and schedules; a file starts at 00:00."""

    @property
    def seconds(self) -> int:
        """Length of the trace."""
        return len(self.counts)

    @property
    def requests(self) -> float:
        """Total requests."""
        return float(self.counts.sum())

    @property
    def peak_minute(self) -> float:
        """Requests per second in the busiest minute, or overall in a shorter trace."""
        return float(minutes(self.counts).max())


def minutes(counts: Floats) -> Floats:
    """Mean per second of each whole minute. A shorter trace counts as one minute."""
    whole = len(counts) // 60
    if whole == 0:
        return np.array([counts.mean()])
    means: Floats = counts[: whole * 60].reshape(whole, 60).mean(axis=1)
    return means


def read_trace(path: Path) -> Trace:
    """Read a trace from a file, plain or gz (detected by its first bytes)."""
    line = 0

    def lines() -> Iterator[str]:
        nonlocal line
        with path.open("rb") as raw:
            packed = raw.peek(len(_GZIP)).startswith(_GZIP)
            with gzip.open(raw) if packed else raw as content:
                while text := content.readline(MAX_LINE_BYTES + 1):
                    line += 1
                    yield _decode(path.name, line, text)

    try:
        return parse_trace(path.name, lines())
    except (OSError, EOFError, zlib.error) as error:
        where = f" after line {line}" if line else ""
        raise TraceError(f"{path}{where}: cannot be read: {error}") from error


def _decode(name: str, line: int, text: bytes) -> str:
    if len(text) > MAX_LINE_BYTES:
        raise TraceError(
            f"{name} line {line}: is longer than {MAX_LINE_BYTES:,} bytes: use CSV with one"
            " request or one second per line"
        )
    try:
        return text.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise TraceError(
            f"{name} line {line}: is not UTF-8 text ({error.reason}): save the file as CSV in"
            " UTF-8, plain or gz"
        ) from error


def parse_trace(name: str, lines: Iterable[str]) -> Trace:
    """Read a trace from lines of CSV."""
    csv.field_size_limit(MAX_LINE_BYTES)
    rows = _Rows(name, lines)
    try:
        column = rows.column()
        if column in _COUNTS:
            trace = _from_counts(name, rows, column)
        else:
            trace = _from_timestamps(name, rows.values(column), column)
    except csv.Error as error:
        raise TraceError(f"{name} line {rows.line}: {error}") from error
    if trace.requests <= 0:
        raise TraceError(f"{name}: the trace has no requests")
    return trace


class _Rows:
    """The rows of a CSV file, checked."""

    def __init__(self, name: str, lines: Iterable[str]) -> None:
        self._name = name
        self._rows = csv.reader(lines)
        self._header = [cell.strip() for cell in next(self._rows, [])]
        self.time: float | None = None
        """The time in the current row, if it has one."""

    @property
    def line(self) -> int:
        """The number of the current line."""
        return self._rows.line_num

    def column(self) -> str:
        """Which of the two supported columns the file has."""
        name, header = self._name, self._header
        if not header:
            raise TraceError(f"{name}: the file or its first line is empty")
        counts = [cell for cell in header if cell in _COUNTS]
        times = [cell for cell in header if cell in (TIMESTAMP_COLUMN, TIME_COLUMN)]
        found = counts if counts and times == [TIME_COLUMN] else [*times, *counts]
        if len(found) == 1:
            return found[0]
        if found:
            raise TraceError(f"{name} line 1: has both {' and '.join(found)}: keep only one")
        raise TraceError(
            f"{name} line 1: needs a header with a column {TIMESTAMP_COLUMN} (seconds),"
            f" {TIME_COLUMN} (ISO 8601), {COUNT_COLUMN} or {MINUTE_COLUMN}; has:"
            f" {', '.join(header)[:80]}"
        )

    def values(self, column: str) -> Iterator[tuple[int, float]]:
        """(line, number) of each row. Trailing empty lines are ignored."""
        index, cells = self._header.index(column), len(self._header)
        time_index = self._header.index(TIME_COLUMN) if TIME_COLUMN in self._header else None
        empty = 0
        for row in self._rows:
            if not row:
                empty = empty or self.line
                continue
            if empty:
                raise TraceError(f"{self._name} line {empty}: {column} is missing")
            if len(row) != cells:
                raise TraceError(
                    f"{self._name} line {self.line}: has {len(row)} cells, the header has {cells}."
                    " Separate cells with commas and decimals with points"
                )
            if time_index is not None:
                self.time = self._time(row[time_index].strip())
            if index == time_index and self.time is not None:
                yield self.line, self.time
            else:
                yield self.line, self._number(row[index].strip(), column)

    def _time(self, cell: str) -> float:
        """Unix time. Without a time zone, the time is UTC."""
        try:
            found = datetime.fromisoformat(cell)
        except ValueError:
            raise TraceError(
                f"{self._name} line {self.line}: {TIME_COLUMN} {cell[:40]!r} is not a time in ISO"
                " 8601, such as 2026-03-02T08:15:00Z"
            ) from None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()

    def _number(self, cell: str, column: str) -> float:
        where = f"{self._name} line {self.line}"
        if not cell:
            raise TraceError(f"{where}: {column} is missing")
        try:
            # float() accepts 1_000.
            value = float(cell.replace("_", "?"))
        except ValueError:
            raise TraceError(f"{where}: {cell[:40]!r} is not a number") from None
        if not isfinite(value):
            raise TraceError(f"{where}: {column} is {value}")
        if value < 0:
            raise TraceError(f"{where}: {column} is negative ({value:g})")
        return value


def _from_counts(name: str, rows: _Rows, column: str) -> Trace:
    seconds = _COUNTS[column]
    counts = array("d")
    start: float | None = None
    for line, value in rows.values(column):
        if value > MAX_PER_SECOND * seconds:
            raise TraceError(
                f"{name} line {line}: {value:g} requests in a"
                f" {'second' if seconds == 1 else 'minute'} are not plausible"
            )
        if len(counts) * seconds >= MAX_SECONDS:
            raise TraceError(f"{name} line {line}: the trace is longer than a year")
        if rows.time is not None:
            start = rows.time if start is None else start
            _check_distance(f"{name} line {line}", rows.time - start, len(counts) * seconds, column)
        counts.append(value)
    if not counts:
        raise TraceError(f"{name}: has a header but no rows")
    values = np.frombuffer(counts, dtype=np.float64)
    found, notes = (values, ()) if seconds == 1 else _spread(values, seconds)
    return Trace(name=name, counts=found, notes=(*notes, *_gaps(found)), start_time=start or 0.0)


def _check_distance(where: str, elapsed: float, expected: int, column: str) -> None:
    """A missing row is unknown, not a time without requests."""
    if abs(elapsed - expected) > _COUNTS[column] / 2:
        raise TraceError(
            f"{where}: {TIME_COLUMN} is {elapsed:.0f} s after the first row, not {expected} s:"
            f" add the missing rows, because {column} needs one every {_COUNTS[column]} s"
        )


def _spread(values: Floats, seconds: int) -> tuple[Floats, tuple[str, ...]]:
    """Requests of each second, drawn around the mean of the row, as for rates from Prometheus."""
    means = np.repeat(values / seconds, seconds)
    drawn: Floats = np.random.default_rng(_SEED).poisson(means).astype(np.float64)
    note = f"one row every {seconds} s: the requests of each second are drawn around its mean"
    return drawn, (note,)


def _check_time(where: str, value: float, last: float, column: str) -> None:
    if value >= MAX_TIME:
        raise TraceError(
            f"{where}: {value:g} s is beyond the year 2100; {column} is in seconds, not"
            " milliseconds"
        )
    if value < last:
        raise TraceError(f"{where}: {value:.12g} is before {last:.12g}: sort the file by {column}")
    if value - last > MAX_JUMP:
        raise TraceError(
            f"{where}: jumps by {value - last:.0f} s, more than a day; {column} is in seconds"
        )


def _from_timestamps(name: str, values: Iterator[tuple[int, float]], column: str) -> Trace:
    timestamps, counts = array("d"), array("d")
    first = last = None
    for line, value in values:
        if first is None or last is None:
            first = last = value
        _check_time(f"{name} line {line}", value, last, column)
        last = value
        second = int(value - first)
        if second >= MAX_SECONDS:
            raise TraceError(f"{name} line {line}: the trace is longer than a year")
        if second >= len(counts):
            counts.extend([0.0] * (second + 1 - len(counts)))
        counts[second] += 1
        if counts[second] > MAX_PER_SECOND:
            raise TraceError(f"{name} line {line}: over {MAX_PER_SECOND:g} requests in a second")
        if len(timestamps) <= MAX_TIMESTAMPS:
            timestamps.append(value - first)
    if not counts:
        raise TraceError(f"{name}: has a header but no rows")
    seconds = np.frombuffer(counts, dtype=np.float64)
    exact = (
        np.frombuffer(timestamps, dtype=np.float64) if len(timestamps) <= MAX_TIMESTAMPS else None
    )
    return Trace(
        name=name,
        counts=seconds,
        timestamps=exact,
        notes=_gaps(seconds),
        start_time=first if column == TIME_COLUMN and first is not None else 0.0,
    )


def _gaps(counts: Floats) -> tuple[str, ...]:
    """Notes on gaps too long to be random. They are simulated as no traffic."""
    mean = counts.mean()
    if mean <= 0:
        return ()
    quiet = np.concatenate(([False], counts == 0, [False])).astype(np.int8)
    edges = np.flatnonzero(np.diff(quiet))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    long = lengths >= max(MIN_GAP, GAP_EXPECTED_REQUESTS / mean)
    if not long.any():
        return ()
    total, first = int(lengths[long].sum()), int(starts[long][0])
    gaps = "1 gap" if long.sum() == 1 else f"{int(long.sum())} gaps"
    found = f"{gaps} without requests, {total} s in total, the first at second {first}"
    return (f"{found}: simulated as no traffic",)
