"""Tells where a Service is really reached when its port needs root and the sandbox has none."""

from collections.abc import Callable, Mapping
from typing import Any

from aiapi_operator.sandbox.errors import Obj
from aiapi_operator.sandbox.events import EventRecorder
from aiapi_operator.sandbox.proxy.pump import Address
from aiapi_operator.sandbox.resources import SERVICES
from aiapi_operator.sandbox.store import Store

ANNOTATION = "sandbox.aiapi.dev/address"


def moved_ports(
    service: Mapping[str, Any], bound: Callable[[Address], Address | None]
) -> list[str]:
    """Return the addresses, as text, of the ports that are served elsewhere."""
    cluster_ip = service["spec"].get("clusterIP", "")
    asked = [(cluster_ip, port["port"]) for port in service["spec"].get("ports", ())]
    found = [(address, bound(address)) for address in asked]
    return [f"{at[0]}:{at[1]}" for address, at in found if at is not None and at != address]


class ServiceAddresses:
    """Annotates such Services, and says why in an Event."""

    def __init__(self, store: Store, bound: Callable[[Address], Address | None]) -> None:
        self._store = store
        self._bound = bound
        self._events = EventRecorder(store, "service-proxy")

    def tell(self) -> None:
        """Look at all Services; those on their own port stay untouched."""
        for service in tuple(self._store.scan(SERVICES)):
            moved = ",".join(moved_ports(service, self._bound))
            annotations = service["metadata"].get("annotations") or {}
            if moved and annotations.get(ANNOTATION) != moved:
                self._annotate(service, moved)

    def _annotate(self, service: Mapping[str, Any], moved: str) -> None:
        def change(found: Obj) -> None:
            found["metadata"].setdefault("annotations", {})[ANNOTATION] = moved

        meta = service["metadata"]
        self._store.mutate(SERVICES, meta["namespace"], meta["name"], change)
        text = f"Ports below 1024 need root here: the Service is reached at {moved}"
        self._events.warning(service, "PortMoved", text)
