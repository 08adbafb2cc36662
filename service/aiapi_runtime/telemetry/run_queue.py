"""Run-queue delay: how long a thread was ready to run and waited for a CPU.

The kernel sums it up in `/proc/PID/task/TID/schedstat`, whose three numbers are the time on a CPU,
the time in a run queue (both in ns), and the time slices. Some kernels have no such file (gVisor)
or show only zeros (without CONFIG_SCHEDSTATS): the delay is unknown then, which is not zero.
"""

import os
from pathlib import Path
from threading import get_native_id


class RunQueue:
    """The delay of the thread that creates this, read from an open file in about 5 us."""

    def __init__(self) -> None:
        try:
            self._file = os.open(f"/proc/self/task/{get_native_id()}/schedstat", os.O_RDONLY)
        except OSError:
            self._file = -1

    def read(self) -> float | None:
        """Seconds since the thread started; None where the kernel does not measure it."""
        if self._file < 0:
            return None
        return parse(os.pread(self._file, 128, 0))


def parse(text: bytes) -> float | None:
    """The delay in seconds. A thread has always run before it is read, so zeros mean unknown."""
    numbers = text.split()
    if len(numbers) < 2 or numbers[0] == b"0":
        return None
    return int(numbers[1]) / 1e9


def delay_of(pid: int) -> float | None:
    """The delay of a process's main thread in seconds; None where it is unknown."""
    try:
        return parse(Path(f"/proc/{pid}/task/{pid}/schedstat").read_bytes())
    except (OSError, ValueError):
        return None


def waited_since(pid: int, before: float) -> float:
    """Seconds that a process's main thread has waited since its delay was `before`."""
    delay = delay_of(pid)
    return 0.0 if delay is None else max(0.0, delay - before)
