"""Which port of the activators belongs to which AIApi: they tell AIApis apart by port.

A port is kept in the AIApi's status, so that a new leader keeps it. All AIApis that have one are
registered before the first tick, so that no other AIApi is given it.
"""

from zlib import crc32

from aiapi_operator.engine.cache import Key


class NoPortError(Exception):
    """All ports are taken. The message says what to do."""


class ActivatorPorts:
    """The ports in use."""

    def __init__(self, first: int, last: int) -> None:
        self._first = first
        self._count = last - first + 1
        self._owners: dict[int, Key] = {}
        self._ports: dict[Key, int] = {}

    def register(self, key: Key, port: int) -> None:
        """Note the port in an AIApi's status, unless another AIApi has it."""
        if 0 <= port - self._first < self._count and port not in self._owners:
            self.release(key)
            self._owners[port], self._ports[key] = key, port

    def take(self, key: Key) -> int:
        """The port of an AIApi: its own one, or a free one. Raises ``NoPortError``."""
        if key not in self._ports:
            start = crc32("/".join(key).encode())
            offsets = (start + offset for offset in range(self._count))
            ports = (self._first + offset % self._count for offset in offsets)
            port = next((each for each in ports if each not in self._owners), None)
            if port is None:
                raise NoPortError(
                    f"all {self._count} ports of the activators are taken: raise"
                    " activator.ports.last in the values of the operator's chart"
                )
            self._owners[port], self._ports[key] = key, port
        return self._ports[key]

    def release(self, key: Key) -> None:
        """Free the port of an AIApi that is gone."""
        port = self._ports.pop(key, None)
        if port is not None:
            del self._owners[port]
