"""Field sets, as in managedFields: paths of `f:`, `k:` and `v:` elements."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.kinds.type_schema import ANY, TypeSchema

Path: TypeAlias = tuple[str, ...]
Fields: TypeAlias = frozenset[Path]
EMPTY: Fields = frozenset()


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def item_element(item: Any, schema: TypeSchema) -> str:
    """The path element of a list item: its keys, or its value in a set."""
    if schema.is_set:
        return f"v:{_compact(item)}"
    keys = {}
    for key in schema.keys:
        if isinstance(item, dict) and key in item:
            keys[key] = item[key]
        elif schema.key_defaults and key in schema.key_defaults:
            keys[key] = schema.key_defaults[key]
    if not keys:
        wanted = ", ".join(schema.keys)
        raise ApiError(
            500,
            "InternalError",
            f"associative list with keys has an element that omits key field {wanted}",
        )
    return f"k:{_compact(keys)}"


def children(value: Any, schema: TypeSchema) -> Iterator[tuple[str, Any, TypeSchema]] | None:
    """The children of a granular value; None for an atomic one."""
    if schema.atomic:
        return None
    if isinstance(value, dict) and schema.kind in ("object", "map", "any"):
        return ((f"f:{name}", part, schema.child(name) or ANY) for name, part in value.items())
    if isinstance(value, list) and schema.kind == "list":
        return ((item_element(part, schema), part, schema.item) for part in value)
    return None


def applied_fields(value: Any, schema: TypeSchema, at: Path = ()) -> Fields:
    """The fields that an applied configuration owns: leaves and list items."""
    parts = children(value, schema)
    if parts is None:
        return frozenset({at})
    found: set[Path] = set()
    empty = True
    for element, part, child in parts:
        empty = False
        if element[0] != "f":
            found.add((*at, element))
        found |= applied_fields(part, child, (*at, element))
    if empty and at:
        found.add(at)
    return frozenset(found)


def all_fields(value: Any, schema: TypeSchema, at: Path = ()) -> Fields:
    """Every field, including those that only contain others."""
    found = {at} if at else set()
    for element, part, child in children(value, schema) or ():
        found |= all_fields(part, child, (*at, element))
    return frozenset(found)


def compare(old: Any, new: Any, schema: TypeSchema, at: Path = ()) -> tuple[Fields, Fields]:
    """Return (added or changed fields, removed fields)."""
    old_parts, new_parts = children(old, schema), children(new, schema)
    if old_parts is None or new_parts is None:
        if old == new:
            return EMPTY, EMPTY
        if old_parts is None and new_parts is None:
            return frozenset({at}), EMPTY
        return all_fields(new, schema, at), all_fields(old, schema, at) - {at}
    before = {element: (part, child) for element, part, child in old_parts}
    changed: set[Path] = set()
    removed: set[Path] = set()
    for element, part, child in new_parts:
        if element in before:
            child_changed, child_removed = compare(
                before.pop(element)[0], part, child, (*at, element)
            )
            changed |= child_changed
            removed |= child_removed
        else:
            changed |= all_fields(part, child, (*at, element))
    for element, (part, child) in before.items():
        removed |= all_fields(part, child, (*at, element))
    return frozenset(changed), frozenset(removed)


def to_fields_v1(fields: Iterable[Path]) -> Obj:
    """The nested FieldsV1 form of a field set."""
    members = set(fields)
    tree: Obj = {}
    for path in sorted(members):
        node = tree
        for depth, element in enumerate(path, 1):
            node = node.setdefault(element, {})
            if path[:depth] in members and depth < len(path):
                node.setdefault(".", {})
    return tree


def from_fields_v1(tree: Obj, at: Path = ()) -> Fields:
    found: set[Path] = set()
    for element, below in tree.items():
        if element == ".":
            found.add(at)
        elif below:
            found |= from_fields_v1(below, (*at, element))
        else:
            found.add((*at, element))
    return frozenset(found)


def field_text(path: Path) -> str:
    """A path as in messages: `.spec.containers[name="c"].image`."""
    text = ""
    for element in path:
        kind, value = element[:1], element[2:]
        if kind == "f":
            text += f".{value}"
        elif kind == "k":
            pairs = [f"{key}={_compact(part)}" for key, part in json.loads(value).items()]
            text += "[" + ",".join(pairs) + "]"
        else:
            text += f"[={value}]"
    return text
