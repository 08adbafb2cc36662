"""Annotates Services whose privileged port the proxy serves on another one."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.events import ComponentEventRecorder
from aiapi_sandbox.kinds.resources import SERVICES
from aiapi_sandbox.proxy.connections import Address
from aiapi_sandbox.storage.store import Store
from aiapi_sandbox.storage.watch_cache import WatchEvent

ANNOTATION = "sandbox.aiapi.dev/address"


def moved_ports(service: Mapping[str, Any], serving: Callable[[Address], Address]) -> list[str]:
    """Return the actual addresses of ports that are not served at the cluster IP's port."""
    cluster_ip = service["spec"].get("clusterIP", "")
    if cluster_ip in ("", "None"):
        return []
    addresses = [(cluster_ip, port["port"]) for port in service["spec"].get("ports", ())]
    found = [(address, serving(address)) for address in addresses]
    return [f"{at[0]}:{at[1]}" for address, at in found if at != address]


class ServiceAddressAnnotator:
    """Annotates such Services when they are created, and records an Event with the reason."""

    def __init__(self, store: Store, serving: Callable[[Address], Address]) -> None:
        self._store = store
        self._serving = serving
        self._events = ComponentEventRecorder(store, "service-proxy")
        store.add_event_handler(self._on_event)

    def _on_event(self, event: WatchEvent) -> None:
        if event.gvr == SERVICES:
            asyncio.get_running_loop().call_soon(self.sync)

    def sync(self) -> None:
        """Update the annotation of every Service whose address moved."""
        for service in tuple(self._store.scan(SERVICES)):
            moved = ",".join(moved_ports(service, self._serving))
            annotations = service["metadata"].get("annotations") or {}
            if annotations.get(ANNOTATION, "") != moved:
                self._annotate(service, moved)

    def _annotate(self, service: Mapping[str, Any], moved: str) -> None:
        def change(found: Obj) -> None:
            annotations = found["metadata"].setdefault("annotations", {})
            annotations.pop(ANNOTATION, None)
            if moved:
                annotations[ANNOTATION] = moved

        meta = service["metadata"]
        self._store.mutate(SERVICES, meta["namespace"], meta["name"], change)
        if moved:
            text = f"Ports below 1024 require root: the Service is available at {moved}"
            self._events.warning(service, "PortMoved", text)
