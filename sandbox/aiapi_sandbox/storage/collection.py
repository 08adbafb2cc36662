"""All objects of one resource, with indexes by namespace and by controller.

Without them, a ReplicaSet would look at every pod of the cluster to find its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from aiapi_sandbox.apimachinery.errors import Obj

ByName = dict[str, Obj]
_Key = TypeVar("_Key", str, tuple[str, str])


class Collection:
    """Objects by namespace and name. The empty namespace has those of a cluster-scoped kind."""

    def __init__(self) -> None:
        self._by_namespace: dict[str, ByName] = {}
        self._by_controller: dict[tuple[str, str], ByName] = {}

    def get(self, namespace: str, name: str) -> Obj | None:
        return self._by_namespace.get(namespace, {}).get(name)

    def put(self, obj: Obj) -> None:
        """Add the object, or replace the one with its name."""
        self.discard(obj)
        namespace, name = _location(obj)
        self._by_namespace.setdefault(namespace, {})[name] = obj
        self._by_controller.setdefault((namespace, _controller(obj)), {})[name] = obj

    def discard(self, obj: Obj) -> None:
        """Remove the object with this name, if there is one."""
        namespace, name = _location(obj)
        if (old := self.get(namespace, name)) is not None:
            _drop(self._by_namespace, namespace, name)
            _drop(self._by_controller, (namespace, _controller(old)), name)

    def scan(self, namespace: str | None = None) -> Iterator[Obj]:
        """The objects now, by namespace and name; of all namespaces when none is given."""
        for each in [namespace] if namespace is not None else sorted(self._by_namespace):
            yield from _sorted(self._by_namespace.get(each, {}))

    def controlled(self, namespace: str, uid: str) -> list[Obj]:
        """The objects with this controller, by name; the empty uid stands for none."""
        return _sorted(self._by_controller.get((namespace, uid), {}))


def _location(obj: Obj) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _controller(obj: Obj) -> str:
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return str(reference["uid"])
    return ""


def _sorted(objects: ByName) -> list[Obj]:
    return [objects[name] for name in sorted(objects)]


def _drop(index: dict[_Key, ByName], key: _Key, name: str) -> None:
    del index[key][name]
    if not index[key]:
        del index[key]
