"""Numbers over time in a fixed amount of memory: columns of floats that overwrite the oldest."""

from array import array
from collections.abc import Sequence
from math import isnan

FLOAT_BYTES = 4
TIME_BYTES = 8


class RingBuffer:
    """At most ``size`` rows, one for each ``seconds`` of time.

    All that comes within the same ``seconds`` is folded into one row: of columns in ``peaks`` the
    highest is kept, of the others the last. NaN is no number and gives way to one.
    """

    def __init__(self, *, seconds: float, size: int, columns: int, peaks: frozenset[int]) -> None:
        self.seconds = seconds
        self.size = size
        self._peaks = peaks
        self._times = array("d")
        self._columns = [array("f") for _ in range(columns)]
        self._next = 0
        self._slot: int | None = None

    def __len__(self) -> int:
        return len(self._times)

    @property
    def most_bytes(self) -> int:
        """What a full ring takes."""
        return self.size * (TIME_BYTES + FLOAT_BYTES * len(self._columns))

    def add(self, time: float, row: Sequence[float]) -> None:
        """Take in what was seen at ``time``."""
        slot = int(time // self.seconds)
        if slot == self._slot:
            self._fold(time, row)
        else:
            self._slot = slot
            self._append(time, row)

    def _append(self, time: float, row: Sequence[float]) -> None:
        if len(self._times) < self.size:
            self._times.append(time)
            for column, value in zip(self._columns, row, strict=True):
                column.append(value)
        else:
            self._times[self._next] = time
            for column, value in zip(self._columns, row, strict=True):
                column[self._next] = value
        self._next = (self._next + 1) % self.size

    def _fold(self, time: float, row: Sequence[float]) -> None:
        last = (self._next - 1) % self.size
        self._times[last] = time
        for number, (column, value) in enumerate(zip(self._columns, row, strict=True)):
            if isnan(value):
                continue
            lower = number in self._peaks and column[last] > value
            if not lower:
                column[last] = value

    def times(self) -> list[float]:
        """The moments, oldest first."""
        return self._in_order(self._times)

    def column(self, number: int) -> list[float | None]:
        """A column, oldest first; None where there was no number."""
        return [None if isnan(value) else value for value in self._in_order(self._columns[number])]

    def _in_order(self, values: "array[float]") -> list[float]:
        if len(values) < self.size:
            return values.tolist()
        return [*values[self._next :], *values[: self._next]]
