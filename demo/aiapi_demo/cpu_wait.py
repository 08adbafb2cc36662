"""How much processes waited for a CPU during a run. On a busy machine its figures compare to none.

From the kernel's pressure stall information where it has it: the share of the time in which some
process was ready to run and had no CPU. Otherwise the run-queue delay of this process, as a share
of the time that it ran or was ready to run. 3 s of delay and 9 s of running are 25 %.
"""

from dataclasses import dataclass
from pathlib import Path
from time import monotonic

PRESSURE = Path("/proc/pressure/cpu")
SCHEDSTAT = Path("/proc/self/schedstat")
BUSY = 0.25
"""Share from which the machine was busy. Starting processes alone takes up to about a tenth."""


@dataclass(frozen=True, slots=True)
class CpuReading:
    """Both counters, in seconds; None where the kernel has none."""

    at: float
    pressure: float | None
    """Time in which some process waited for a CPU."""
    running: float | None
    """CPU time of this process."""
    delayed: float | None
    """Run-queue delay of this process."""


def read(pressure: Path = PRESSURE, schedstat: Path = SCHEDSTAT) -> CpuReading:
    """The counters now."""
    ran = _fields(schedstat)
    return CpuReading(
        at=monotonic(),
        pressure=_pressure(pressure),
        running=ran[0] if ran else None,
        delayed=ran[1] if ran else None,
    )


def _pressure(path: Path) -> float | None:
    """From ``some avg10=0.00 avg60=0.00 avg300=0.00 total=1234567`` (microseconds)."""
    try:
        line = path.read_text("ascii").splitlines()[0]
        return int(line.rpartition("total=")[2]) / 1e6
    except (OSError, ValueError, IndexError):
        return None


def _fields(path: Path) -> tuple[float, float] | None:
    """From ``running delayed slices`` (nanoseconds)."""
    try:
        running, delayed, _ = map(int, path.read_text("ascii").split())
    except (OSError, ValueError):
        return None
    return running / 1e9, delayed / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuWait:
    """What was measured over a run."""

    share: float | None
    """0..1; None where the kernel has neither counter."""
    source: str

    @property
    def comparable(self) -> bool:
        """Whether the figures of the run can be compared with others'."""
        return self.share is not None and self.share < BUSY

    def __str__(self) -> str:
        if self.share is None:
            return "Not comparable: the kernel does not report how long processes wait for a CPU."
        found = f"{self.source} in {100 * self.share:.0f} % of the time"
        if self.comparable:
            return f"Comparable: {found}."
        return f"Not comparable: {found}. Stop other processes, and run it again."


def between(before: CpuReading, after: CpuReading) -> CpuWait:
    """The share of the time between two readings."""
    if before.pressure is not None and after.pressure is not None and after.at > before.at:
        share = (after.pressure - before.pressure) / (after.at - before.at)
        return CpuWait(share=min(1.0, share), source="processes waited for a CPU")
    own = own_delay(before, after)
    return CpuWait(share=own, source="this process waited for a CPU")


def own_delay(before: CpuReading, after: CpuReading) -> float | None:
    """Run-queue delay of this process over the time that it ran or was ready to run."""
    if before.running is None or before.delayed is None:
        return None
    if after.running is None or after.delayed is None:
        return None
    delayed = after.delayed - before.delayed
    total = delayed + after.running - before.running
    return delayed / total if total > 0 else 0.0
