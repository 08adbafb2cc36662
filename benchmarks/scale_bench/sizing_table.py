"""The sizing table: what an operator used with some numbers of AIApis and pods.

Only what was measured: the CPU of a tick depends on both numbers, and on how busy the core is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One operator in a steady state."""

    cluster: str
    """The number of AIApis and of pods of each, and their load."""
    cores: float
    ticks: float
    """Per second."""
    memory: float
    """Bytes."""


def lines(measured: Iterable[Measured]) -> Iterator[str]:
    """The table in Markdown."""
    yield "| AIApis x pods | CPU | ticks | CPU of a tick | memory |"
    yield "| --- | --- | --- | --- | --- |"
    for each in measured:
        tick = 1000 * each.cores / each.ticks
        yield (
            f"| {each.cluster} | {each.cores:.2f} core | {each.ticks:.0f}/s | {tick:.1f} ms"
            f" | {each.memory / 1e6:.0f} MB |"
        )
