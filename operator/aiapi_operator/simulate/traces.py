"""Traces: files of request timestamps, or of requests in each second, as CSV, plain or gz.

A file is read line by line. What is remembered is one number a second, and the timestamps
themselves while there are at most ``MOST_STAMPS`` of them; a longer file is known by its
seconds, and where in the second a request came is drawn.

Anything that would make a wrong table ends with a ``TraceError`` that names the line.
"""

import csv
import gzip
import io
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
LONGEST = 366 * 86_400
GAP_EXPECTS = 50.0
"""Seconds without a request are a gap in the recording when so many were to be expected."""
SHORTEST_GAP = 10
LONGEST_LINE = 1_000_000


class TraceError(ValueError):
    """The file is no trace. The message names the line and says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Requests in each second from 0, and their exact times where those are known."""

    name: str
    counts: Floats
    stamps: Floats | None = None
    notes: tuple[str, ...] = ()

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


def read(path: Path) -> Trace:
    """Read a trace from a file."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as raw:
            text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
            return parse(path.name, text)
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: is not a text file in UTF-8: {error.reason}") from error


def parse(name: str, lines: Iterable[str]) -> Trace:
    """Read a trace from lines of CSV."""
    csv.field_size_limit(LONGEST_LINE)
    rows = csv.reader(lines)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        column = _column(name, header)
        values = _values(name, rows, header.index(column), column)
        trace = _from_stamps(name, values) if column == STAMPS else _from_counts(name, values)
    except csv.Error as error:
        raise TraceError(f"{name} line {rows.line_num}: {error}") from error
    if trace.requests <= 0:
        raise TraceError(f"{name}: the trace has no request at all")
    return trace


def _column(name: str, header: list[str]) -> str:
    found = [column for column in (STAMPS, COUNTS) if column in header]
    if len(found) == 1:
        return found[0]
    if found:
        raise TraceError(f"{name} line 1: has both {STAMPS} and {COUNTS}: keep one of them")
    if not header:
        raise TraceError(f"{name}: the file is empty")
    raise TraceError(
        f"{name} line 1: needs a header with a column {STAMPS} (seconds) or {COUNTS};"
        f" has: {', '.join(header)[:80]}"
    )


def _values(
    name: str, rows: Iterator[list[str]], index: int, column: str
) -> Iterator[tuple[int, float]]:
    """(line, number) of each row."""
    for line, row in enumerate(rows, start=2):
        cell = row[index].strip() if index < len(row) else ""
        if not cell:
            raise TraceError(f"{name} line {line}: {column} is missing")
        try:
            value = float(cell)
        except ValueError:
            raise TraceError(f"{name} line {line}: {cell[:40]!r} is no number") from None
        if not isfinite(value):
            raise TraceError(f"{name} line {line}: {column} is {value}")
        if value < 0:
            raise TraceError(f"{name} line {line}: {column} is negative ({value:g})")
        yield line, value


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
    seconds = np.frombuffer(counts, dtype=np.float64).copy()
    return Trace(name=name, counts=seconds, notes=_gaps(seconds))


def _from_stamps(name: str, values: Iterator[tuple[int, float]]) -> Trace:
    stamps, counts = array("d"), array("d")
    first = last = None
    for line, value in values:
        if first is None or last is None:
            first = last = value
        if value < last:
            raise TraceError(
                f"{name} line {line}: {value:g} comes before {last:g}: sort the file by {STAMPS}"
            )
        if value - last > LONGEST_JUMP:
            raise TraceError(
                f"{name} line {line}: jumps by {value - last:.0f} s, more than a day;"
                f" {STAMPS} are seconds"
            )
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
    seconds = np.frombuffer(counts, dtype=np.float64).copy()
    exact = np.frombuffer(stamps, dtype=np.float64).copy() if len(stamps) <= MOST_STAMPS else None
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
