"""How busy the machine is while something is measured: shares of its CPU time."""

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Clock:
    """CPU time of the whole machine at one instant, in clock ticks."""

    total: int
    idle: int

    @classmethod
    def read(cls) -> "Clock":
        fields = [
            int(each) for each in Path("/proc/stat").read_text("utf-8").split("\n")[0].split()[1:9]
        ]
        return cls(total=sum(fields), idle=fields[3] + fields[4])

    def free_since(self, before: "Clock") -> float:
        """Cores that were free on average since then."""
        total = max(1, self.total - before.total)
        return (self.idle - before.idle) / total * (os.cpu_count() or 1)


def pause(seconds: float) -> float:
    """Wait, and return the free cores in that time."""
    before = Clock.read()
    time.sleep(seconds)
    return Clock.read().free_since(before)
