"""Which operator decides: the Lease of this operator or shard, and the ring of all shards.

All elections run in the thread of the Lease, which ticks do not delay.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiapi_operator.cluster import shards
from aiapi_operator.cluster.connection import Connection, RequestObserver
from aiapi_operator.cluster.lease import LeaderElector, LeaseIdentity
from aiapi_operator.cluster.watches import Watches
from aiapi_operator.engine.ports import Leadership
from aiapi_operator.engine.ring import Ring, RingPorts
from aiapi_operator.metrics.operator_metrics import OperatorMetrics
from aiapi_operator.process.background import background
from aiapi_operator.process.loop_thread import LoopThread
from aiapi_operator.process.settings import Settings


@dataclass(frozen=True, slots=True)
class _AlwaysLeader:
    """Leadership without an election, for a single operator on a workstation."""

    term: int = 1

    def held(self) -> bool:
        return True


@asynccontextmanager
async def leadership(
    settings: Settings, thread: LoopThread, metrics: OperatorMetrics
) -> AsyncIterator[Leadership]:
    """Take part in the election, or lead alone where there is none."""
    if not settings.leader_election:
        metrics.set_leader(True)
        yield _AlwaysLeader()
        return
    loop = asyncio.get_running_loop()

    def changed(leads: bool) -> None:
        loop.call_soon_threadsafe(metrics.set_leader, leads)

    electing = _electing(settings, _lease(settings), changed, metrics.record_api_request)
    async with thread.hosting(electing) as elector:
        yield elector


@asynccontextmanager
async def _electing(
    settings: Settings,
    lease: LeaseIdentity,
    changed: Callable[[bool], None],
    observer: RequestObserver,
) -> AsyncIterator[LeaderElector]:
    """Take part in the election, with a connection of its own: connections belong to one loop."""
    connection = await Connection.open(settings.kubeconfig, observer=observer)
    elector = LeaderElector(connection, lease, changed=changed)
    try:
        async with background(elector.run(), "lease"):
            yield elector
    finally:
        await connection.close()


def _lease(settings: Settings) -> LeaseIdentity:
    """The Lease of the shard, or the only one."""
    name, shard = settings.lease_name, settings.own_shard
    return LeaseIdentity(
        namespace=settings.pod_namespace,
        name=name if shard is None else shards.lease_name(name, shard),
        identity=settings.pod_name,
        labels={} if shard is None else shards.lease_labels(name, shard),
    )


@asynccontextmanager
async def ring(
    settings: Settings, thread: LoopThread, metrics: OperatorMetrics, connection: Connection
) -> AsyncIterator[None]:
    """Observe the shards, and assign AIApis to them while holding the ring Lease."""
    lease = LeaseIdentity(
        namespace=settings.pod_namespace, name=settings.lease_name, identity=settings.pod_name
    )
    electing = _electing(settings, lease, lambda _holds: None, metrics.record_api_request)
    async with thread.hosting(electing) as elector:
        ports = RingPorts(
            leases=shards.ShardLeases(connection, settings.pod_namespace, settings.lease_name),
            labels=shards.Labels(connection),
            view=lambda sink: Watches.of_aiapis(connection, settings.namespaces, sink),
            held=elector.held,
            clock=time.monotonic,
            unowned=metrics.set_unowned,
        )
        owners = Ring(ports, identity=settings.pod_name, shards=settings.shards)
        async with background(owners.run(), "ring"):
            yield
