"""Time series in a fixed amount of memory: columns of floats that overwrite the oldest row."""

from array import array
from collections.abc import Sequence
from math import isnan

FLOAT_BYTES = 4
TIME_BYTES = 8


class RingBuffer:
    """At most ``size`` rows, one per ``step`` seconds.

    Values of the same step are merged into one row: the columns in ``peaks`` keep the maximum, the
    others the last value. NaN stands for no value and is replaced by any value.
    """

    def __init__(self, *, step: float, size: int, columns: int, peaks: frozenset[int]) -> None:
        self.step = step
        self.size = size
        self._peaks = peaks
        self._times = array("d")
        self._columns = [array("f") for _ in range(columns)]
        self._next = 0
        self._slot: int | None = None

    def __len__(self) -> int:
        return len(self._times)

    @property
    def max_bytes(self) -> int:
        """The memory of a full buffer."""
        return self.size * (TIME_BYTES + FLOAT_BYTES * len(self._columns))

    def add(self, time: float, row: Sequence[float]) -> None:
        """Add the values at ``time``."""
        slot = int(time // self.step)
        if slot == self._slot:
            self._merge(time, row)
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

    def _merge(self, time: float, row: Sequence[float]) -> None:
        last = (self._next - 1) % self.size
        self._times[last] = time
        for number, (column, value) in enumerate(zip(self._columns, row, strict=True)):
            if isnan(value):
                continue
            below_peak = number in self._peaks and column[last] > value
            if not below_peak:
                column[last] = value

    def times(self) -> list[float]:
        """The times, oldest first."""
        return self._in_order(self._times)

    def column(self, number: int) -> list[float | None]:
        """A column, oldest first. None stands for no value."""
        return [None if isnan(value) else value for value in self._in_order(self._columns[number])]

    def _in_order(self, values: "array[float]") -> list[float]:
        if len(values) < self.size:
            return values.tolist()
        return [*values[self._next :], *values[: self._next]]
