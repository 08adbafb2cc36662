"""One listening port per AIApi, for as long as its status has one."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from aiapi_operator.activator.client import ClientConnection
from aiapi_operator.activator.fleet import Fleet, Key
from aiapi_operator.activator.gate import Gate, Surroundings
from aiapi_operator.activator.metrics import ActivatorMetrics, Now
from aiapi_operator.activator.world import World
from aiapi_operator.process.listener import ListenError, bind

QUIET = 60.0
"""Seconds without a connection after which the port of an AIApi that has none closes. Clients of a
Service may connect to an endpoint for a while after it was removed."""
_BACKLOG = 4096
_INTERVAL = 5.0
_CLOSING_INTERVAL = 0.05
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
"""Inherited by connections. A held client that is gone without a word frees its place."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Open:
    gate: Gate
    server: asyncio.Server


class Listeners:
    """The gates of all AIApis, and their ports."""

    def __init__(
        self, world: World, shared: Surroundings, metrics: ActivatorMetrics, *, host: str
    ) -> None:
        self._world = world
        self._shared = shared
        self._metrics = metrics
        self._host = host
        self._gates: dict[Key, Gate] = {}
        self._open: dict[int, _Open] = {}
        self._changed = asyncio.Event()
        self._failed: set[int] = set()
        self.opened = asyncio.Event()
        """The first round is complete."""
        world.changed = self.changed

    def changed(self, key: Key) -> None:
        """An AIApi or its pods changed."""
        fleet, gate = self._world.fleets.get(key), self._gates.get(key)
        before = gate.fleet.port if gate is not None else None
        if fleet is None:
            if gate is not None:
                self._forget(gate)
        elif gate is not None or fleet.port is not None:
            gate = gate or self._add(fleet)
            gate.update(fleet, self._world.pods(key))
        if before != (fleet.port if fleet is not None else None):
            self._changed.set()

    def gates(self) -> Iterator[Gate]:
        """All gates."""
        return iter(tuple(self._gates.values()))

    def now(self) -> Iterator[Now]:
        """The current numbers of all AIApis."""
        for gate in self.gates():
            yield Now(
                key=gate.fleet.key,
                held=len(gate.hold),
                in_flight=gate.in_flight,
                connections=gate.connections,
            )

    async def run(self) -> NoReturn:
        """Open and close ports until cancelled."""
        while True:
            self._changed.clear()
            await self._reconcile()
            self.opened.set()
            try:
                await asyncio.wait_for(self._changed.wait(), _INTERVAL)
            except TimeoutError:
                continue

    def stop_accepting(self) -> None:
        """Close all ports, and connections without a request."""
        for each in self._open.values():
            each.server.close()
        self._open.clear()
        for gate in self.gates():
            gate.close_unused()

    async def close(self, until: Callable[[], bool]) -> None:
        """Wait for all requests to end or for ``until``, and end what is left."""
        while any(gate.connections for gate in self.gates()):
            if until():
                break
            await asyncio.sleep(_CLOSING_INTERVAL)
        for gate in self.gates():
            gate.abort()
            gate.stop()

    async def _reconcile(self) -> None:
        wanted = {gate.fleet.port: gate for gate in self.gates() if gate.fleet.port is not None}
        for port, each in list(self._open.items()):
            if wanted.get(port) is not each.gate and self._may_close(each.gate, port in wanted):
                each.server.close()
                del self._open[port]
        for port, gate in wanted.items():
            if port not in self._open:
                await self._listen(port, gate)
        for gate in self.gates():
            if gate.fleet.port is None and all(o.gate is not gate for o in self._open.values()):
                self._forget(gate)

    def _may_close(self, gate: Gate, is_taken: bool) -> bool:
        if is_taken or gate.fleet.key not in self._world.fleets:
            return True
        return not gate.connections and self._shared.clock() - gate.last_seen >= QUIET

    async def _listen(self, port: int, gate: Gate) -> None:
        loop = asyncio.get_running_loop()
        try:
            listener = bind(self._host, port, "--host")
            for option in _KEEPALIVE:
                listener.setsockopt(*option)
            server = await loop.create_server(
                lambda: ClientConnection(gate), sock=listener, backlog=_BACKLOG
            )
        except (ListenError, OSError) as error:
            if port not in self._failed:
                _log.error("%s/%s: %s", *gate.fleet.key, error)
            self._failed.add(port)
            return
        self._failed.discard(port)
        self._open[port] = _Open(gate, server)
        _log.info("listening on port %d for %s/%s", port, *gate.fleet.key)

    def _add(self, fleet: Fleet) -> Gate:
        gate = self._gates[fleet.key] = Gate(fleet, self._shared, self._metrics.fleet(fleet.key))
        return gate

    def _forget(self, gate: Gate) -> None:
        """The AIApi is gone or never at zero any more."""
        del self._gates[gate.fleet.key]
        gate.delete()
        gate.stop()
        self._metrics.remove(gate.metrics)
