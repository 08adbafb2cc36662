"""Asks the pods how many workers run: the demo's own measure, not the operator's word."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp

from aiapi_demo.observed import ObservedPod

ADMIN_PORT = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetWorkers:
    """All workers of the fleet at one moment."""

    serving: int
    """Ready to take requests, in pods that stay."""
    asked: int
    """Told to run, in pods that stay. Only an operator or a lost pod changes it."""
    alive: int
    """All that run and cost: starting, serving and draining ones, in pods that leave, too."""
    utilization: float | None
    """Loop time over worker time since the last look, 0..1."""


class Probe:
    """Looks at all pods at once, through their admin ports."""

    def __init__(self, token: str) -> None:
        self._before: dict[str, tuple[float, float]] = {}
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=1),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def look(self, pods: Iterable[ObservedPod]) -> FleetWorkers:
        """Ask every pod; one that does not answer counts nothing."""
        known = tuple(pods)
        answers = await asyncio.gather(*(self._stats(pod) for pod in known))
        serving = asked = alive = 0
        before, self._before = self._before, {}
        loop_time = worker_time = 0.0
        for pod, stats in zip(known, answers, strict=True):
            if stats is None:
                continue
            workers = stats["workers"]
            alive += workers["starting"] + workers["ready"] + workers["draining"]
            if not pod.terminating:
                asked += workers["wanted"]
                serving += workers["ready"] if pod.ready else 0
            counters = (stats["loop_seconds"], stats["worker_seconds"])
            self._before[stats["instance"]] = counters
            if stats["instance"] in before:
                loop_time += counters[0] - before[stats["instance"]][0]
                worker_time += counters[1] - before[stats["instance"]][1]
        return FleetWorkers(
            serving=serving,
            asked=asked,
            alive=alive,
            utilization=loop_time / worker_time if worker_time > 0 else None,
        )

    async def _stats(self, pod: ObservedPod) -> dict[str, Any] | None:
        try:
            async with self._session.get(f"http://{pod.address}:{ADMIN_PORT}/stats") as answer:
                answer.raise_for_status()
                stats: dict[str, Any] = await answer.json()
                return stats
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
