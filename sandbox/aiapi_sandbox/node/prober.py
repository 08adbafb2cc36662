"""The prober: runs a container's probes and acts on their results."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aiapi_sandbox.node.container_status import ContainerStatus
from aiapi_sandbox.node.probes import ProbeSettings, ProbeTarget, run_handler

JsonObject = Mapping[str, Any]


class ProbedContainer(Protocol):
    """The part of a container that the prober uses."""

    spec: JsonObject
    status: ContainerStatus

    def target(self) -> ProbeTarget: ...

    @property
    def is_stopping(self) -> bool: ...

    async def terminate(self, why: str, *, grace: float | None = None) -> None: ...


class Prober:
    """Runs until cancelled, which happens when the container exits."""

    def __init__(
        self,
        container: ProbedContainer,
        record_event: Callable[[str, str, str], None],
        changed: Callable[[], None],
    ) -> None:
        self._container = container
        self._record_event = record_event
        self._changed = changed

    async def run(self) -> None:
        """Run the startup probe, then the readiness and liveness probes concurrently."""
        spec = self._container.spec
        if "startupProbe" in spec:
            if not await self._has_started(spec["startupProbe"]):
                return
            self._container.status.started = True
            self._container.status.ready = "readinessProbe" not in spec
            self._changed()
        async with asyncio.TaskGroup() as group:
            if "readinessProbe" in spec:
                group.create_task(self._readiness(spec["readinessProbe"]))
            if "livenessProbe" in spec:
                group.create_task(self._liveness(spec["livenessProbe"]))

    async def _has_started(self, probe: JsonObject) -> bool:
        settings = ProbeSettings.of(probe)
        failures = 0
        await asyncio.sleep(settings.initial_delay)
        while failures < settings.failure_threshold:
            if await self._succeeds(probe, settings, "Startup"):
                return True
            failures += 1
            if failures < settings.failure_threshold:
                await asyncio.sleep(settings.period)
        await self._kill(probe, "startup")
        return False

    async def _readiness(self, probe: JsonObject) -> None:
        settings = ProbeSettings.of(probe)
        status = self._container.status
        streak, last = 0, None
        await asyncio.sleep(settings.initial_delay)
        while True:
            result = await self._succeeds(probe, settings, "Readiness")
            streak = streak + 1 if result == last else 1
            last = result
            threshold = settings.success_threshold if result else settings.failure_threshold
            if streak >= threshold and status.ready != result:
                status.ready = result
                self._changed()
            await asyncio.sleep(settings.period)

    async def _liveness(self, probe: JsonObject) -> None:
        settings = ProbeSettings.of(probe)
        failures = 0
        await asyncio.sleep(settings.initial_delay)
        while failures < settings.failure_threshold:
            ok = await self._succeeds(probe, settings, "Liveness")
            failures = 0 if ok else failures + 1
            if failures < settings.failure_threshold:
                await asyncio.sleep(settings.period)
        await self._kill(probe, "liveness")

    async def _succeeds(self, probe: JsonObject, settings: ProbeSettings, kind: str) -> bool:
        failure = await run_handler(probe, self._container.target(), settings.timeout)
        if failure and not self._container.is_stopping:
            self._record_event("Warning", "Unhealthy", f"{kind} probe failed: {failure}")
        return not failure

    async def _kill(self, probe: JsonObject, kind: str) -> None:
        name = self._container.status.name
        why = f"Container {name} failed {kind} probe, will be restarted"
        if not self._container.is_stopping:
            grace = probe.get("terminationGracePeriodSeconds")
            await self._container.terminate(why, grace=grace)
