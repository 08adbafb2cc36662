"""A node of an object under validation, with its schema and the old value it correlates with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiapi_sandbox.apimachinery.errors import OMITTED, Obj


def child_schema(schema: Obj, name: str) -> Obj:
    found = (schema.get("properties") or {}).get(name)
    if found is None and isinstance(schema.get("additionalProperties"), dict):
        found = schema["additionalProperties"]
    return found or {}


@dataclass(frozen=True)
class CorrelatedObject:
    """One value. `old` is OMITTED when it has no counterpart in the old object."""

    value: Any
    old: Any
    schema: Obj
    path: str

    @property
    def children(self) -> Iterator[CorrelatedObject]:
        if isinstance(self.value, dict):
            old = self.old if isinstance(self.old, dict) else {}
            known = self.schema.get("properties") or {}
            for name, part in self.value.items():
                path = f"{self.path}.{name}" if self.path else name
                if name not in known:
                    path = f"{self.path}[{name}]"
                yield CorrelatedObject(
                    part, old.get(name, OMITTED), child_schema(self.schema, name), path
                )
        elif isinstance(self.value, list):
            items = self.schema.get("items") or {}
            old_items = _correlated_items(self.value, self.old, self.schema)
            for index, (part, old_part) in enumerate(zip(self.value, old_items, strict=True)):
                yield CorrelatedObject(part, old_part, items, f"{self.path}[{index}]")


def _correlated_items(items: list[Any], old: Any, schema: Obj) -> list[Any]:
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(old, list):
        return [OMITTED] * len(items)  # items of atomic lists and sets do not correlate

    def identity(item: Any) -> tuple[Any, ...]:
        return tuple(item.get(key) for key in keys) if isinstance(item, dict) else ()

    by_key = {identity(item): item for item in old}
    return [by_key.get(identity(item), OMITTED) for item in items]
