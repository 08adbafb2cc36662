"""The shared memory, of fixed size, for the numbers of all workers of a pod.

The supervisor owns it and assigns each worker one slot. A worker alone writes its slot. The
supervisor alone reads it and, after the worker's process has ended, adds it to the totals of
departed workers and clears it for the next one. Reading and folding happen in the supervisor's one
thread, so no reading falls between the two, and totals never decrease.
"""

import mmap
import os

from aiapi_runtime.telemetry import run_queue
from aiapi_runtime.telemetry.idleness import IN_USE
from aiapi_runtime.telemetry.layout import (
    CUSTOM_NUMBERS,
    GAUGES,
    NUMBERS,
    SLOT_BYTES,
    TEXT_BYTES,
    Cell,
)

# A loop whose heartbeat is later than this is blocked; its timer is not merely a little late.
BEAT_SECONDS = 0.1


class WorkerSlot:
    """One worker's numbers; both sides use it."""

    def __init__(self, memory: memoryview, index: int) -> None:
        start = index * SLOT_BYTES
        self.index = index
        custom = start + NUMBERS * 8
        exemplars = custom + CUSTOM_NUMBERS * 8
        end = start + SLOT_BYTES
        self.numbers = memory[start:custom].cast("d")
        self.custom = memory[custom:exemplars].cast("d")
        self.exemplars = memory[exemplars : end - TEXT_BYTES]
        self._text = memory[end - TEXT_BYTES : end]

    @property
    def text(self) -> str:
        length = min(self._text[0], TEXT_BYTES - 1)
        return bytes(self._text[1 : 1 + length]).decode("utf-8", "replace")

    @text.setter
    def text(self, value: str) -> None:
        # The end of a long path identifies the place; its start does not.
        data = value.encode()[-(TEXT_BYTES - 1) :]
        self._text[0] = 0
        self._text[1 : 1 + len(data)] = data
        self._text[0] = len(data)

    def clear(self) -> None:
        """Clears all but the app's own metrics, which `AppMetrics` folds and clears."""
        self.numbers[:] = memoryview(bytes(NUMBERS * 8)).cast("d")
        self.exemplars[:] = bytes(len(self.exemplars))
        self.text = ""


class SlotMemory:
    """The mapping. It is anonymous, so nothing is left behind when the pod ends."""

    def __init__(self, fd: int, slots: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, slots * SLOT_BYTES)
        self._memory = memoryview(self._map)
        self.slots = tuple(WorkerSlot(self._memory, index) for index in range(slots))

    @classmethod
    def create(cls, slots: int) -> "SlotMemory":
        fd = os.memfd_create("aiapi-workers")
        os.ftruncate(fd, slots * SLOT_BYTES)
        return cls(fd, slots)


class PodTotals:
    """The supervisor's view: readings that never decrease, and the totals of departed workers."""

    def __init__(self, memory: SlotMemory) -> None:
        self._memory = memory
        self.retired = [0.0] * NUMBERS
        self._floors: dict[int, tuple[float, ...]] = {}

    def read(self, index: int, now: float, pid: int = 0) -> list[float]:
        """One worker's numbers, brought forward from the time of writing to `now`.

        With its process id, the time it waits for a CPU is brought forward as well.
        """
        row = list(self._memory.slots[index].numbers)
        _advance(row, now, pid)
        moving = (
            Cell.IN_FLIGHT_SECONDS,
            Cell.UPSTREAM_SECONDS,
            Cell.LOOP_SECONDS,
            Cell.WORKER_SECONDS,
            Cell.RUN_QUEUE_SECONDS,
        )
        floor = self._floors.get(index)
        if floor is not None:
            # A worker does not write the cells of one change at one instant, so a reading in
            # between may be slightly ahead. It is held until the true value has caught up.
            for cell, minimum in zip(moving, floor, strict=True):
                row[cell] = max(row[cell], minimum)
        self._floors[index] = tuple(row[cell] for cell in moving)
        return row

    def fold(self, index: int, now: float) -> None:
        """Keep the counters of a worker whose process has ended, and free its slot.

        Its requests in flight were lost with it and count as server errors.
        """
        row = self.read(index, now)
        used_at = now if row[Cell.USED_AT] == IN_USE else row[Cell.USED_AT]
        last_use = max(used_at, self.retired[Cell.USED_AT])
        row[Cell.SERVER_ERROR] += row[Cell.IN_FLIGHT]
        for cell in GAUGES:
            row[cell] = 0.0
        self.retired = [kept + new for kept, new in zip(self.retired, row, strict=True)]
        self.retired[Cell.USED_AT] = last_use
        self._floors.pop(index, None)
        self._memory.slots[index].clear()

    def total(self, rows: list[list[float]]) -> list[float]:
        """All workers that ever ran; `rows` are those of the running ones."""
        total = [sum(column) for column in zip(self.retired, *rows, strict=True)]
        total[Cell.USED_AT] = max(row[Cell.USED_AT] for row in (self.retired, *rows))
        return total


def _advance(row: list[float], now: float, pid: int) -> None:
    """Add the time since the worker wrote: open requests still wait, and a late loop is busy."""
    for count, seconds, at in (
        (Cell.IN_FLIGHT, Cell.IN_FLIGHT_SECONDS, Cell.IN_FLIGHT_AT),
        (Cell.UPSTREAM_OPEN, Cell.UPSTREAM_SECONDS, Cell.UPSTREAM_AT),
    ):
        if row[count] > 0:
            row[seconds] += row[count] * max(0.0, now - row[at])
    if row[Cell.SERVING] > 0:
        late = now - row[Cell.BEAT_AT] - BEAT_SECONDS
        if late > 0:
            row[Cell.LOOP_SECONDS] += late
            row[Cell.WORKER_SECONDS] += late
            if pid:
                waited = run_queue.waited_since(pid, row[Cell.RUN_QUEUE_AT_BEAT])
                row[Cell.RUN_QUEUE_SECONDS] += waited
