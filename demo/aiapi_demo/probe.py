"""Counts the running workers through the pods' admin ports, independently of the operator."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp

from aiapi_demo.admin_port import AdminPort
from aiapi_demo.observed import ObservedPod


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetWorkers:
    """All workers of the fleet at one time."""

    serving: int
    """Ready workers, in pods that are not terminating."""
    requested: int
    """Set by the operator, in pods that are not terminating."""
    alive: int
    """All workers that cost: starting, serving and draining, in terminating pods as well."""
    utilization: float | None
    """Loop time over worker time since the last probe, 0..1."""


class Probe:
    """Probes all pods concurrently."""

    def __init__(self, admin: AdminPort) -> None:
        self._admin = admin
        self._before: dict[str, tuple[float, float]] = {}
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def probe(self, pods: Iterable[ObservedPod]) -> FleetWorkers:
        """Count the workers. A pod that does not answer counts as none."""
        known = tuple(pods)
        responses = await asyncio.gather(*(self._stats(pod) for pod in known))
        serving = requested = alive = 0
        before, self._before = self._before, {}
        loop_time = worker_time = 0.0
        for pod, stats in zip(known, responses, strict=True):
            if stats is None:
                continue
            workers = stats["workers"]
            alive += workers["starting"] + workers["ready"] + workers["draining"]
            if not pod.terminating:
                requested += workers["wanted"]
                serving += workers["ready"] if pod.ready else 0
            counters = (stats["loop_seconds"], stats["worker_seconds"])
            self._before[stats["instance"]] = counters
            if stats["instance"] in before:
                loop_time += counters[0] - before[stats["instance"]][0]
                worker_time += counters[1] - before[stats["instance"]][1]
        return FleetWorkers(
            serving=serving,
            requested=requested,
            alive=alive,
            utilization=loop_time / worker_time if worker_time > 0 else None,
        )

    async def _stats(self, pod: ObservedPod) -> dict[str, Any] | None:
        try:
            url = self._admin.url(pod.address, "/stats")
            async with self._session.get(url, **self._admin.options()) as response:
                response.raise_for_status()
                stats: dict[str, Any] = await response.json()
                return stats
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
