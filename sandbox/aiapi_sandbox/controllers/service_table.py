"""The Service table for the proxy: every cluster IP and port with its backends.

As with kube-proxy, all EndpointSlices with the Service's label count, whoever manages them.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aiapi_sandbox.controllers.endpointslice import SERVICE_LABEL
from aiapi_sandbox.kinds.resources import ENDPOINTSLICES, SERVICES
from aiapi_sandbox.proxy.connections import Address
from aiapi_sandbox.storage.store import Store
from aiapi_sandbox.storage.watch_cache import WatchEvent

JsonObject = Mapping[str, Any]
ServiceTable = dict[Address, list[Address]]


def is_ready(endpoint: JsonObject) -> bool:
    """Whether the endpoint gets connections. As in the API, a missing condition counts as ready."""
    ready = (endpoint.get("conditions") or {}).get("ready")
    return ready is not False


def is_last_resort(endpoint: JsonObject) -> bool:
    """Whether it gets connections if no endpoint is ready: it terminates, but still serves."""
    conditions = endpoint.get("conditions") or {}
    return conditions.get("serving") is True and conditions.get("terminating") is True


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
                found = list(_endpoints(slices, port.get("name", "")))
                table[cluster_ip, port["port"]] = _backends(found)
    return table


def _endpoints(
    slices: Sequence[JsonObject], port_name: str
) -> Iterator[tuple[Address, JsonObject]]:
    """The endpoints of a Service port. The cluster IPs of the sandbox are IPv4."""
    for endpoint_slice in slices:
        if endpoint_slice.get("addressType") != "IPv4":
            continue
        for port in endpoint_slice.get("ports") or ():
            named = (port.get("name") or "") == port_name
            if named and port.get("protocol", "TCP") == "TCP" and port.get("port"):
                for endpoint in endpoint_slice.get("endpoints") or ():
                    for address in endpoint["addresses"]:
                        yield (address, port["port"]), endpoint


def _backends(found: Sequence[tuple[Address, JsonObject]]) -> list[Address]:
    ready = dict.fromkeys(address for address, endpoint in found if is_ready(endpoint))
    return list(ready) or list(
        dict.fromkeys(address for address, endpoint in found if is_last_resort(endpoint))
    )


class ServiceTableSync:
    """Sends the table to the proxy when it changes, ``delay`` seconds later.

    kube-proxy takes up to some seconds, and longer under load.
    """

    def __init__(
        self, store: Store, send: Callable[[ServiceTable], None], *, delay: float = 0.0
    ) -> None:
        self._store = store
        self._send = send
        self._delay = delay
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
            await asyncio.sleep(self._delay)
            self._dirty.clear()
            table = service_table(self._store)
            if table != sent:
                self._send(table)
                sent = table
