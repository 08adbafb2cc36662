"""Traces: files of request timestamps, or of requests in each second, as CSV, plain or gz.

A file is read line by line, so its size does not matter. What is remembered is one number a
second, and the timestamps themselves while there are at most ``MOST_STAMPS`` of them; a longer
file is known by its seconds, and where in the second a request came is drawn.

Anything that would make a wrong table ends with a ``TraceError`` that names the line.
"""

import csv
import gzip
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STAMPS = "arrival_s"
COUNTS = "requests_per_second"
MOST_STAMPS = 5_000_000
MOST_A_SECOND = 1e6
LONGEST_JUMP = 86_400.0
"""Seconds without a request between two timestamps that are taken for an error in the file."""
LATEST = 4_102_444_800.0
"""Unix time of the year 2100."""
LONGEST = 366 * 86_400
GAP_EXPECTS = 50.0
"""Seconds without a request are a gap in the recording when so many were to be expected."""
SHORTEST_GAP = 10
LONGEST_LINE = 1_000_000
_GZIP = b"\x1f\x8b"


class TraceError(ValueError):
    """The file is no trace. The message names the line and says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Requests in each second from 0, and their exact times where those are known."""

    name: str
    counts: Floats
    stamps: Floats | None = None
    notes: tuple[str, ...] = ()
    begins: float = 0.0
    """Seconds since 1970, for what comes at the same time every day; a file begins at 00:00."""

    @property
    def seconds(self) -> int:
        """Length."""
        return len(self.counts)

    @property
    def requests(self) -> float:
        """Requests in all."""
        return float(self.counts.sum())

    @property
    def peak_minute(self) -> float:
        """Requests a second in the busiest minute (or in all of a shorter trace)."""
        return float(minutes(self.counts).max())


def minutes(counts: Floats) -> Floats:
    """Mean a second of each whole minute from 0; a rest is dropped if there is a whole one."""
    whole = len(counts) // 60
    if whole == 0:
        return np.array([counts.mean()])
    means: Floats = counts[: whole * 60].reshape(whole, 60).mean(axis=1)
    return means


def read_trace(path: Path) -> Trace:
    """Read a trace from a file, plain or gz (told by its first bytes)."""
    line = 0

    def lines() -> Iterator[str]:
        nonlocal line
        with path.open("rb") as raw:
            packed = raw.peek(len(_GZIP)).startswith(_GZIP)
            with gzip.open(raw) if packed else raw as content:
                while text := content.readline(LONGEST_LINE + 1):
                    line += 1
                    yield _decode(path.name, line, text)

    try:
        return parse_trace(path.name, lines())
    except (OSError, EOFError, zlib.error) as error:
        where = f" after line {line}" if line else ""
        raise TraceError(f"{path}{where}: cannot be read: {error}") from error


def _decode(name: str, line: int, text: bytes) -> str:
    if len(text) > LONGEST_LINE:
        raise TraceError(
            f"{name} line {line}: is longer than {LONGEST_LINE:,} bytes: this is no CSV with one"
            " request or one second a line"
        )
    try:
        return text.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise TraceError(
            f"{name} line {line}: is not text in UTF-8 ({error.reason}): save it as CSV in UTF-8,"
            " plain or gz"
        ) from error


def parse_trace(name: str, lines: Iterable[str]) -> Trace:
    """Read a trace from lines of CSV."""
    csv.field_size_limit(LONGEST_LINE)
    rows = _Rows(name, lines)
    try:
        column = rows.column()
        trace = (_from_stamps if column == STAMPS else _from_counts)(name, rows.values(column))
    except csv.Error as error:
        raise TraceError(f"{name} line {rows.line}: {error}") from error
    if trace.requests <= 0:
        raise TraceError(f"{name}: the trace has no request at all")
    return trace


class _Rows:
    """The rows of a CSV file, checked."""

    def __init__(self, name: str, lines: Iterable[str]) -> None:
        self._name = name
        self._rows = csv.reader(lines)
        self._header = [cell.strip() for cell in next(self._rows, [])]

    @property
    def line(self) -> int:
        """The line that was read last."""
        return self._rows.line_num

    def column(self) -> str:
        """Which of the two columns there is."""
        name, header = self._name, self._header
        if not header:
            raise TraceError(f"{name}: the file is empty, or its first line is")
        found = [cell for cell in header if cell in (STAMPS, COUNTS)]
        if len(found) == 1:
            return found[0]
        if found:
            raise TraceError(f"{name} line 1: has both {' and '.join(found)}: keep one of them")
        raise TraceError(
            f"{name} line 1: needs a header with a column {STAMPS} (seconds) or {COUNTS}; has:"
            f" {', '.join(header)[:80]}"
        )

    def values(self, column: str) -> Iterator[tuple[int, float]]:
        """(line, number) of each row. Empty lines at the end do not matter."""
        index, cells = self._header.index(column), len(self._header)
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
                    " Cells are apart by commas, decimals by points"
                )
            yield self.line, self._number(row[index].strip(), column)

    def _number(self, cell: str, column: str) -> float:
        where = f"{self._name} line {self.line}"
        if not cell:
            raise TraceError(f"{where}: {column} is missing")
        try:
            # Python alone would read 1_000 as a number.
            value = float(cell.replace("_", "?"))
        except ValueError:
            raise TraceError(f"{where}: {cell[:40]!r} is no number") from None
        if not isfinite(value):
            raise TraceError(f"{where}: {column} is {value}")
        if value < 0:
            raise TraceError(f"{where}: {column} is negative ({value:g})")
        return value


def _from_counts(name: str, values: Iterator[tuple[int, float]]) -> Trace:
    counts = array("d")
    for line, value in values:
        if value > MOST_A_SECOND:
            raise TraceError(f"{name} line {line}: {value:g} requests in a second are absurd")
        if len(counts) >= LONGEST:
            raise TraceError(f"{name} line {line}: the trace is longer than a year")
        counts.append(value)
    if not counts:
        raise TraceError(f"{name}: has a header and nothing below it")
    seconds = np.frombuffer(counts, dtype=np.float64)
    return Trace(name=name, counts=seconds, notes=_gaps(seconds))


def _check_time(where: str, value: float, last: float) -> None:
    if value >= LATEST:
        raise TraceError(
            f"{where}: {value:g} s is beyond the year 2100; {STAMPS} are seconds, not milliseconds"
        )
    if value < last:
        raise TraceError(f"{where}: {value:g} comes before {last:g}: sort the file by {STAMPS}")
    if value - last > LONGEST_JUMP:
        raise TraceError(
            f"{where}: jumps by {value - last:.0f} s, more than a day; {STAMPS} are seconds"
        )


def _from_stamps(name: str, values: Iterator[tuple[int, float]]) -> Trace:
    stamps, counts = array("d"), array("d")
    first = last = None
    for line, value in values:
        if first is None or last is None:
            first = last = value
        _check_time(f"{name} line {line}", value, last)
        last = value
        second = int(value - first)
        if second >= LONGEST:
            raise TraceError(f"{name} line {line}: the trace is longer than a year")
        if second >= len(counts):
            counts.extend([0.0] * (second + 1 - len(counts)))
        counts[second] += 1
        if counts[second] > MOST_A_SECOND:
            raise TraceError(f"{name} line {line}: over {MOST_A_SECOND:g} requests in a second")
        if len(stamps) <= MOST_STAMPS:
            stamps.append(value - first)
    if not counts:
        raise TraceError(f"{name}: has a header and nothing below it")
    seconds = np.frombuffer(counts, dtype=np.float64)
    exact = np.frombuffer(stamps, dtype=np.float64) if len(stamps) <= MOST_STAMPS else None
    return Trace(name=name, counts=seconds, stamps=exact, notes=_gaps(seconds))


def _gaps(counts: Floats) -> tuple[str, ...]:
    """Silence that chance does not explain. It is simulated as it stands: as no traffic."""
    mean = counts.mean()
    if mean <= 0:
        return ()
    quiet = np.concatenate(([False], counts == 0, [False])).astype(np.int8)
    edges = np.flatnonzero(np.diff(quiet))
    begins, lengths = edges[::2], edges[1::2] - edges[::2]
    long = lengths >= max(SHORTEST_GAP, GAP_EXPECTS / mean)
    if not long.any():
        return ()
    total, first = int(lengths[long].sum()), int(begins[long][0])
    gaps = "1 gap" if long.sum() == 1 else f"{int(long.sum())} gaps"
    told = f"{gaps} without a request, {total} s in all, the first at second {first}"
    return (f"{told}: taken as no traffic",)
