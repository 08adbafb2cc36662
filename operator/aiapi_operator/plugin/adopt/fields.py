"""The fields of an object that are not handled yet.

A field that is handled is taken out, so that what is left at the end is what would be lost.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any


class Fields:
    """A copy of an object from which fields are taken."""

    def __init__(self, data: Mapping[str, Any] | None, path: str = "") -> None:
        self._data: dict[str, Any] = copy.deepcopy(dict(data or {}))
        self.path = path

    def take(self, *names: str) -> Any:
        """Remove the value at this path and return it; None if there is none."""
        parents: list[tuple[dict[str, Any], str]] = []
        node: Any = self._data
        for name in names:
            if not isinstance(node, dict) or name not in node:
                return None
            parents.append((node, name))
            node = node[name]
        for parent, name in reversed(parents):
            del parent[name]
            if parent:
                break
        return node

    def within(self, *names: str) -> "Fields":
        """Take the object at this path, as fields of their own."""
        return Fields(self.take(*names), ".".join([*filter(None, [self.path]), *names]))

    def drop(self, *values: tuple[str, Any]) -> None:
        """Take each field that has the given value, which is a default of Kubernetes."""
        for name, value in values:
            if self._data.get(name) == value:
                del self._data[name]

    def rest(self) -> dict[str, Any]:
        """All that is left."""
        return self._data

    def left(self) -> Iterator[tuple[str, Any]]:
        """Path and value of each field that is left."""
        for name, value in self._data.items():
            yield f"{self.path}.{name}".lstrip("."), value
