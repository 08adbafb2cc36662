"""Waits while a pod is at rest: until a request arrives, workers change, or loops get busy.

The operator asks an idle pod for its numbers once a minute and lets it hold the answer back, so it
still learns of the first request at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple

from aiapi_runtime.telemetry.layout import OUTCOMES, Cell
from aiapi_runtime.telemetry.stats import WorkerCounts

_EVERY = 0.25
_BUSY_SHARE, _BUSY_SECONDS = 0.1, 0.5


class Activity(NamedTuple):
    """What ends a rest when it changes, and the loops' work, which may go on a little."""

    requests: int
    """Requests so far, ended or open, and open WebSockets."""
    workers: WorkerCounts
    not_ready: str
    loop_seconds: float


def requests_of(numbers: Sequence[float]) -> int:
    """Requests of one worker, ended or open, and its open WebSockets."""
    return int(sum(numbers[: len(OUTCOMES)]) + numbers[Cell.IN_FLIGHT] + numbers[Cell.WEBSOCKETS])


async def wait_at_rest(
    activity: Callable[[], Activity], requests: int | None, seconds: float
) -> None:
    """Wait until the rest ends; ``seconds`` at most.

    ``requests`` is how many the caller knows of: with more, the rest has already ended.
    """
    began, first = monotonic(), activity()
    if requests is not None and requests != first.requests:
        return
    while (passed := monotonic() - began) < seconds:
        await asyncio.sleep(min(_EVERY, seconds - passed))
        now = activity()
        worked = now.loop_seconds - first.loop_seconds
        busy = _BUSY_SECONDS + _BUSY_SHARE * (monotonic() - began) * first.workers.ready
        if now[:3] != first[:3] or worked > busy:
            return
