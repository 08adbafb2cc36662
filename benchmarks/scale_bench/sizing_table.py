"""What an operator needs for a number of AIApis and pods, from two measured clusters.

A tick costs ``tick + pods x scrape`` seconds of CPU, and an operator has ``base + aiapis x aiapi +
pods x pod`` bytes. Two clusters with other numbers of pods for each AIApi give both.

Example: 500 ticks/s of 10 pods use 1.5 core and 2,500 ticks/s of 2 pods use 3.5: a tick costs 3 ms
and 1.4 ms, so a scrape costs (3 - 1.4) / (10 - 2) = 0.2 ms and the rest of a tick 1 ms.
"""

from collections.abc import Iterator
from dataclasses import dataclass

INTERVAL, IDLE_INTERVAL = 2.0, 10.0
"""Seconds between two ticks of an AIApi under load, and of an idle one."""
FLEETS = ((100, 2), (100, 10), (300, 10), (1000, 2), (1000, 10), (5000, 2))
"""AIApis, and pods of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One cluster under load."""

    aiapis: int
    pods: int
    """Of all AIApis."""
    tick: float
    """CPU seconds of a tick."""
    memory: float
    """Bytes beyond an operator without AIApis."""

    @property
    def per_aiapi(self) -> float:
        """Pods of each AIApi."""
        return self.pods / self.aiapis


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU seconds of a tick without pods and of a scrape; bytes."""

    tick: float
    scrape: float
    base: float
    aiapi: float
    pod: float

    @classmethod
    def of(cls, base: float, many: Measured, small: Measured) -> "Cost":
        """From a cluster of many pods for each AIApi, and one of few."""
        scrape = (many.tick - small.tick) / (many.per_aiapi - small.per_aiapi)
        determinant = many.aiapis * small.pods - small.aiapis * many.pods
        aiapi = (many.memory * small.pods - small.memory * many.pods) / determinant
        pod = (many.aiapis * small.memory - small.aiapis * many.memory) / determinant
        tick = many.tick - many.per_aiapi * scrape
        return cls(tick=tick, scrape=scrape, base=base, aiapi=aiapi, pod=pod)

    def cores(self, aiapis: int, pods: int, *, busy: float) -> float:
        """With a share of the AIApis under load and the others idle; ``pods`` of each."""
        ticks = aiapis * (busy / INTERVAL + (1 - busy) / IDLE_INTERVAL)
        return ticks * (self.tick + pods * self.scrape)

    def bytes(self, aiapis: int, pods: int) -> float:
        """Resident memory."""
        return self.base + aiapis * (self.aiapi + pods * self.pod)


def lines(cost: Cost) -> Iterator[str]:
    """The table in Markdown."""
    yield "| AIApis x pods | CPU, all under load | CPU, one in ten under load | memory |"
    yield "| --- | --- | --- | --- |"
    for aiapis, pods in FLEETS:
        busy, mostly_idle = (cost.cores(aiapis, pods, busy=share) for share in (1.0, 0.1))
        memory = cost.bytes(aiapis, pods) / 1e6
        yield f"| {aiapis:,} x {pods} | {busy:.2f} | {mostly_idle:.2f} | {memory:.0f} MB |"
    yield (
        f"\nA tick takes {1000 * cost.tick:.2f} ms and {1000 * cost.scrape:.2f} ms for each pod."
        f" An AIApi takes {cost.aiapi / 1000:.0f} kB, a pod {cost.pod / 1000:.1f} kB,"
        f" and the operator without them {cost.base / 1e6:.0f} MB."
    )
