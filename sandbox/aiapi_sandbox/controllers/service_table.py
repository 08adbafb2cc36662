"""The Service table for the proxy: every cluster IP and port with its backends."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiapi_sandbox.controllers.endpointslice import SERVICE_LABEL
from aiapi_sandbox.kinds.resources import ENDPOINTSLICES, SERVICES
from aiapi_sandbox.proxy.connections import Address
from aiapi_sandbox.storage.store import Store
from aiapi_sandbox.storage.watch_cache import WatchEvent

JsonObject = Mapping[str, Any]
ServiceTable = dict[Address, list[Address]]


def serving_endpoints(endpoints: list[JsonObject]) -> list[JsonObject]:
    """Ready endpoints, or, when there are none, those that are serving and terminating."""
    ready = [e for e in endpoints if e["conditions"].get("ready")]
    if ready:
        return ready
    return [
        e
        for e in endpoints
        if e["conditions"].get("serving") and e["conditions"].get("terminating")
    ]


def service_table(store: Store) -> ServiceTable:
    """Build the table from the store."""
    table: ServiceTable = {}
    for service in store.scan(SERVICES):
        cluster_ip = service["spec"].get("clusterIP", "")
        if cluster_ip in ("", "None"):
            continue
        meta = service["metadata"]
        slices = tuple(store.scan(ENDPOINTSLICES, meta["namespace"], {SERVICE_LABEL: meta["name"]}))
        for port in service["spec"].get("ports", ()):
            if port.get("protocol", "TCP") == "TCP":
                table[cluster_ip, port["port"]] = _backends(slices, port.get("name", ""))
    return table


def _backends(slices: tuple[JsonObject, ...], port_name: str) -> list[Address]:
    found = [
        (address, port["port"], entry)
        for endpoint_slice in slices
        for port in endpoint_slice.get("ports") or ()
        if (port.get("name") or "") == port_name
        for entry in endpoint_slice.get("endpoints") or ()
        for address in entry["addresses"]
    ]
    chosen = serving_endpoints([entry for _, _, entry in found])
    return [(address, port) for address, port, entry in found if entry in chosen]


class ServiceTableSync:
    """Sends the table to the proxy when it changes."""

    def __init__(self, store: Store, send: Callable[[ServiceTable], None]) -> None:
        self._store = store
        self._send = send
        self._dirty = asyncio.Event()
        self._dirty.set()
        store.add_event_handler(self._on_event)

    def _on_event(self, event: WatchEvent) -> None:
        if event.gvr in (SERVICES, ENDPOINTSLICES):
            self._dirty.set()

    async def run(self) -> None:
        """Follow the store until cancelled."""
        sent: ServiceTable | None = None
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            table = service_table(self._store)
            if table != sent:
                self._send(table)
                sent = table
