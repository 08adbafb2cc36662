"""The objects of the stand-in API server, and their watches.

Server-side apply is a deep merge: the only writer of a field is the operator or this benchmark. An
apply that changes nothing keeps the version and is counted as such.
"""

import asyncio
import copy
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

Manifest = dict[str, Any]
Name = tuple[str, str]
"""Namespace and name."""
Event = tuple[bytes, Manifest]
"""A line of a watch, and its object."""


class Storage:
    """Objects by resource and name, each with its JSON text."""

    def __init__(self) -> None:
        self.objects: defaultdict[str, dict[Name, Manifest]] = defaultdict(dict)
        self._texts: defaultdict[str, dict[Name, bytes]] = defaultdict(dict)
        self._watches: defaultdict[str, list[asyncio.Queue[Event]]] = defaultdict(list)
        self.version = 1000
        self.changed: Counter[str] = Counter()
        """Writes that changed something, by verb and resource."""
        self.unchanged: Counter[str] = Counter()
        self.listeners: list[Callable[[str, Manifest], None]] = []
        """Called after a change with the resource and the object."""

    def put(self, plural: str, manifest: Manifest) -> Manifest:
        """Store a new version."""
        key = _name(manifest)
        event = "MODIFIED" if key in self.objects[plural] else "ADDED"
        self.version += 1
        metadata = {**manifest["metadata"], "resourceVersion": str(self.version)}
        manifest = {**manifest, "metadata": metadata}
        self._store(plural, key, manifest, event)
        return manifest

    def _store(self, plural: str, key: Name, manifest: Manifest, event: str) -> None:
        text = json.dumps(manifest, separators=(",", ":")).encode()
        self.objects[plural][key], self._texts[plural][key] = manifest, text
        self._publish(plural, event, manifest, text)
        for listener in self.listeners:
            listener(plural, manifest)

    def delete(self, plural: str, key: Name) -> None:
        """Remove an object, if there is one."""
        manifest = self.objects[plural].pop(key, None)
        if manifest is None:
            return
        self._texts[plural].pop(key)
        self.version += 1
        manifest["metadata"]["resourceVersion"] = str(self.version)
        text = json.dumps(manifest, separators=(",", ":")).encode()
        self._publish(plural, "DELETED", manifest, text)

    def merge(self, plural: str, key: Name, patch: Manifest, verb: str) -> Manifest:
        """Merge a patch into an object, or create it."""
        old = self.objects[plural].get(key)
        new = _merged(old, patch)
        if old is not None and new == old:
            self.unchanged[f"{verb} {plural}"] += 1
            return old
        self.changed[f"{verb} {plural}"] += 1
        metadata = new["metadata"]
        metadata.setdefault("uid", f"{plural}-{key[0]}-{key[1]}")
        if old is None or new.get("spec") != old.get("spec"):
            metadata["generation"] = (old or {"metadata": {}})["metadata"].get("generation", 0) + 1
        return self.put(plural, new)

    def texts(self, plural: str, accepts: Callable[[Manifest], bool]) -> Iterator[bytes]:
        """The JSON of each object that is accepted."""
        known = self._texts[plural]
        return (known[key] for key, each in self.objects[plural].items() if accepts(each))

    def watch(self, plural: str) -> "asyncio.Queue[Event]":
        """A queue of events from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._watches[plural].append(queue)
        return queue

    def unwatch(self, plural: str, queue: "asyncio.Queue[Event]") -> None:
        """End a watch."""
        self._watches[plural].remove(queue)

    def _publish(self, plural: str, event: str, manifest: Manifest, text: bytes) -> None:
        line = b'{"type":"%b","object":%b}\n' % (event.encode(), text)
        for queue in self._watches[plural]:
            queue.put_nowait((line, manifest))


def _name(manifest: Manifest) -> Name:
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _merged(old: Any, patch: Any) -> Any:
    if isinstance(old, dict) and isinstance(patch, dict):
        kept = {key: value for key, value in old.items() if key not in patch}
        return kept | {key: _merged(old.get(key), value) for key, value in patch.items()}
    if _is_named(old) and _is_named(patch):
        by_name = {each["name"]: each for each in patch}
        rest = [each for each in patch if each["name"] not in {other["name"] for other in old}]
        return [_merged(each, by_name.get(each["name"], {})) for each in old] + rest
    return copy.deepcopy(patch)


def _is_named(value: Any) -> bool:
    is_list = isinstance(value, list) and bool(value)
    return is_list and all(isinstance(each, dict) and "name" in each for each in value)
