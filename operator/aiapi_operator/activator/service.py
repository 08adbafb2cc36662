"""Builds the activator from its parts and runs it.

When it ends, it fails its readiness first, so that no new connection is routed to it. It accepts
for a while longer, finishes what it has, and then exits.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from aiapi_operator.activator.admin import AdminServer
from aiapi_operator.activator.fleet import Key
from aiapi_operator.activator.gate import Surroundings
from aiapi_operator.activator.listeners import Listeners
from aiapi_operator.activator.metrics import ActivatorMetrics
from aiapi_operator.activator.prober import HttpProbe, open_session
from aiapi_operator.activator.settings import Settings
from aiapi_operator.activator.watch import Watch, Watched
from aiapi_operator.activator.world import World
from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.resources import AIAPIS, MANAGED_BY_SELECTOR, PODS
from aiapi_operator.cluster.scale import raise_scale

_log = logging.getLogger("aiapi_operator.activator")


class KubernetesScales:
    """The scales of Deployments through the Kubernetes API."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def raise_to(self, key: Key, replicas: int) -> bool:
        """Raise to at least ``replicas``. Returns whether it was lower."""
        return await raise_scale(self._connection, *key, replicas)


class Readiness:
    """Whether the activator may get connections."""

    def __init__(self, listeners: Listeners, watches: Sequence[Watch]) -> None:
        self._listeners = listeners
        self._watches = watches
        self.draining = False

    def waiting_for(self) -> str:
        """Why not; empty if it may."""
        if self.draining:
            return "draining"
        if not all(watch.synced.is_set() for watch in self._watches):
            return "the AIApis and pods are not listed yet"
        return "" if self._listeners.opened.is_set() else "ports are not open yet"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until ``stop`` is set, and drain."""
    async with AsyncExitStack() as stack:
        connection = await Connection.open(settings.kubeconfig)
        stack.push_async_callback(connection.close)
        session = await stack.enter_async_context(open_session())
        world = World()
        shared = Surroundings(
            limits=settings.limits,
            probe=HttpProbe(session),
            scales=KubernetesScales(connection),
            pod_name=settings.pod_name,
        )
        metrics = ActivatorMetrics()
        listeners = Listeners(world, shared, metrics, host=settings.host)
        metrics.gauges_from(listeners.now)
        watches = _watches(settings, connection, world)
        readiness = Readiness(listeners, watches)
        admin = AdminServer(
            pod_name=settings.pod_name,
            listeners=listeners,
            metrics=metrics,
            waiting_for=readiness.waiting_for,
        )
        port = await admin.start(settings.host, settings.admin_port)
        stack.push_async_callback(admin.stop)
        _log.info("admin port %d", port)
        tasks = [asyncio.create_task(watch.run(), name="watch") for watch in watches]
        await stack.enter_async_context(_cancelled_at_the_end(tasks))
        await _until_stopped(settings, stop, tasks, listeners=listeners, readiness=readiness)


def _watches(settings: Settings, connection: Connection, world: World) -> list[Watch]:
    watched: list[Watched] = []
    for namespace in settings.namespaces or (None,):
        watched += [
            Watched(
                resource=PODS,
                namespace=namespace,
                selector=MANAGED_BY_SELECTOR,
                replace=world.replace_pods,
                put=world.put_pod,
                remove=world.remove_pod,
            ),
            Watched(
                resource=AIAPIS,
                namespace=namespace,
                selector="",
                replace=world.replace_aiapis,
                put=world.put_aiapi,
                remove=world.remove_aiapi,
            ),
        ]
    return [Watch(connection, each) for each in watched]


async def _until_stopped(
    settings: Settings,
    stop: asyncio.Event,
    watches: Sequence["asyncio.Task[None]"],
    *,
    listeners: Listeners,
    readiness: Readiness,
) -> None:
    """Listen until ``stop``, then drain. The watches go on: held requests still need pods."""
    listening = asyncio.create_task(listeners.run(), name="listeners")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    async with _cancelled_at_the_end([listening, stopping]):
        await asyncio.wait([listening, stopping, *watches], return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, *watches):
            if task.done():
                task.result()
        readiness.draining = True
        await asyncio.sleep(settings.drain_delay)
    listeners.stop_accepting()
    end = time.monotonic() + settings.grace
    await listeners.close(until=lambda: time.monotonic() >= end)


@asynccontextmanager
async def _cancelled_at_the_end(tasks: Sequence["asyncio.Task[object]"]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
