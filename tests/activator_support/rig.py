"""An activator on loopback whose world is set by the test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from runtime_support.client import Connection

from aiapi_operator.activator.fleet import Fleet, Key, Pod
from aiapi_operator.activator.gate import Gate, Surroundings
from aiapi_operator.activator.limits import Limits
from aiapi_operator.activator.listeners import Listeners
from aiapi_operator.activator.metrics import ActivatorMetrics
from aiapi_operator.activator.prober import HttpProbe, open_session
from aiapi_operator.activator.world import World

KEY = ("shop", "assistant")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class FakeScales:
    """Scales in memory. ``on_raise`` runs when one rises; ``errors`` are raised first."""

    replicas: int = 0
    on_raise: Callable[[int], None] = lambda _replicas: None
    errors: list[Exception] = field(default_factory=list)
    always: Exception | None = None
    raised: list[int] = field(default_factory=list)

    async def raise_to(self, key: Key, replicas: int) -> bool:
        if self.always is not None:
            raise self.always
        if self.errors:
            raise self.errors.pop(0)
        if replicas <= self.replicas:
            return False
        self.replicas = replicas
        self.raised.append(replicas)
        self.on_raise(replicas)
        return True


@dataclass
class Rig:
    world: World
    listeners: Listeners
    metrics: ActivatorMetrics
    scales: FakeScales
    port: int

    @property
    def gate(self) -> Gate:
        return next(self.listeners.gates())

    def set(self, *pods: Pod, **changes: object) -> None:
        """Change the AIApi, and set its pods."""
        fleet = self.world.fleets.get(KEY) or Fleet(key=KEY, port=self.port, phase="Asleep")
        self.world.fleets[KEY] = replace(fleet, **changes)  # type: ignore[arg-type]
        self.world._pods[KEY] = {pod.uid: pod for pod in pods}
        self.world.changed(KEY)

    async def connect(self) -> Connection:
        return await Connection.open("127.0.0.1", self.port)

    async def ask(self, path: str = "/", headers: str = "") -> tuple[int, dict[str, str], bytes]:
        connection = await self.connect()
        try:
            answer = await connection.ask(path, headers)
        finally:
            await connection.close()
        return answer.status, answer.headers, answer.body

    async def raw(self, data: bytes) -> bytes:
        """Send bytes, and read until the activator closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def metric(self, name: str) -> str:
        lines = self.metrics.text().decode().splitlines()
        return next((line.split()[-1] for line in lines if line.startswith(name)), "")


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the activator has no event for each state
            await asyncio.sleep(0.005)


@asynccontextmanager
async def rig(limits: Limits | None = None) -> AsyncIterator[Rig]:
    world, scales, metrics = World(), FakeScales(), ActivatorMetrics()
    async with open_session() as session:
        shared = Surroundings(
            limits=limits or Limits(),
            probe=HttpProbe(session),
            scales=scales,
            pod_name="activator-1",
        )
        listeners = Listeners(world, shared, metrics, host="127.0.0.1")
        metrics.gauges_from(listeners.now)
        task = asyncio.create_task(listeners.run())
        made = Rig(world, listeners, metrics, scales, free_port())
        made.set()
        await until(lambda: bool(listeners._open))
        try:
            yield made
        finally:
            listeners.stop_accepting()
            await listeners.close(until=lambda: True)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.05)
