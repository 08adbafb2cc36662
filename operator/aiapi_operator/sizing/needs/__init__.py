"""NEEDS: what limits a fleet. Each entry is one file: facts and a lead time in, a requirement out.

The largest requirement sets the number of workers and gives the reason. Removing an entry from the
list removes it from the system.
"""

from collections.abc import Callable

from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.needs import concurrency, floor, loop, memory, schedule, threads
from aiapi_operator.sizing.requirement import Requirement

NEEDS: tuple[Callable[[Facts, float], Requirement | None], ...] = (
    loop.need,
    concurrency.need,
    threads.need,
    memory.need,
    floor.need,
    schedule.need,
)
