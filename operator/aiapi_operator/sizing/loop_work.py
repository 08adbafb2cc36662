"""Loop work: the loop time less the time for which loops waited for a CPU.

Loop time is wall time, so a loop that shares its CPU with a noisy neighbor looks busier than it is,
and each added worker makes it worse. The kernel measures the wait. It also has waits in it that
begin while a loop is idle and are no loop time, so what is left may be too little: loops worked at
least for the CPU time that they took.

    work = min(loop time, max(loop time - wait, CPU time of the loops))

0.99 s per second of loop time, 0.69 of waiting, 0.30 of CPU time: 0.30 s of work. A handler that
blocks for 0.2 s without a wait and with 0.01 of CPU time: 0.2 s of work.

Where the kernel does not measure the wait, the CPU time counts.
"""

from collections.abc import Sequence
from operator import sub

from aiapi_operator.sizing.text import NAMED

CONTENDED = 0.1
"""Share of the loop time from which a wait for a CPU distorts what is measured. At rho 0.6 it makes
queueing look 1.3 times as long."""
IGNORED = 0.05
"""Share of a worker's time below which waits for a CPU do not count. They shift a loop's
utilization by less than that; 20 requests a second that wait 2 ms each take 4 %."""


def work(
    loop: Sequence[float], waited: Sequence[float], cpu: Sequence[float], known: Sequence[bool]
) -> list[float]:
    """Loop work of each pod."""
    if not all(known):
        waited = [
            wait if knows else most for most, wait, knows in zip(loop, waited, known, strict=True)
        ]
    return list(map(max, map(sub, loop, waited), map(min, loop, cpu)))


def contended(loop: float, waited: float, workers: float) -> bool:
    """Whether loops waited for a CPU so long that times measured here say little of the service."""
    return waited > CONTENDED * loop and waited > IGNORED * workers


def crowded(
    names: Sequence[str],
    loop: Sequence[float],
    waited: Sequence[float],
    workers: Sequence[float],
) -> tuple[tuple[str, float], ...]:
    """The contended pods that waited most, each with the share of its workers' time."""
    found = [
        (wait / many, name)
        for name, busy, wait, many in zip(names, loop, waited, workers, strict=True)
        if many > 0 and contended(busy, wait, many)
    ]
    return tuple((name, share) for share, name in sorted(found, reverse=True)[:NAMED])
