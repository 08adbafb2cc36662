"""Sets of fields, as ownership counts them: paths of `f:`, `k:` and `v:` steps."""

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


def item_step(item: Any, schema: TypeSchema) -> str:
    """How a list's item is named: by its keys, or by its value in a set."""
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
    """The named parts of a value that merges; None for one that is replaced as a whole."""
    if schema.atomic:
        return None
    if isinstance(value, dict) and schema.kind in ("object", "map", "any"):
        return ((f"f:{name}", part, schema.child(name) or ANY) for name, part in value.items())
    if isinstance(value, list) and schema.kind == "list":
        return ((item_step(part, schema), part, schema.item) for part in value)
    return None


def applied_fields(value: Any, schema: TypeSchema, at: Path = ()) -> Fields:
    """The fields that an applied configuration claims: leaves, and list items."""
    parts = children(value, schema)
    if parts is None:
        return frozenset({at})
    found: set[Path] = set()
    empty = True
    for step, part, child in parts:
        empty = False
        if step[0] != "f":
            found.add((*at, step))
        found |= applied_fields(part, child, (*at, step))
    if empty and at:
        found.add(at)
    return frozenset(found)


def all_fields(value: Any, schema: TypeSchema, at: Path = ()) -> Fields:
    """Every field there is, with those that only hold others."""
    found = {at} if at else set()
    for step, part, child in children(value, schema) or ():
        found |= all_fields(part, child, (*at, step))
    return frozenset(found)


def compare(old: Any, new: Any, schema: TypeSchema, at: Path = ()) -> tuple[Fields, Fields]:
    """(fields that were added or changed, fields that were removed)."""
    old_parts, new_parts = children(old, schema), children(new, schema)
    if old_parts is None or new_parts is None:
        if old == new:
            return EMPTY, EMPTY
        if old_parts is None and new_parts is None:
            return frozenset({at}), EMPTY
        return all_fields(new, schema, at), all_fields(old, schema, at) - {at}
    before = {step: (part, child) for step, part, child in old_parts}
    changed: set[Path] = set()
    removed: set[Path] = set()
    for step, part, child in new_parts:
        if step in before:
            more, less = compare(before.pop(step)[0], part, child, (*at, step))
            changed |= more
            removed |= less
        else:
            changed |= all_fields(part, child, (*at, step))
    for step, (part, child) in before.items():
        removed |= all_fields(part, child, (*at, step))
    return frozenset(changed), frozenset(removed)


def to_fields_v1(fields: Iterable[Path]) -> Obj:
    """The nested form in which managedFields are written."""
    members = set(fields)
    tree: Obj = {}
    for path in sorted(members):
        node = tree
        for depth, step in enumerate(path, 1):
            node = node.setdefault(step, {})
            if path[:depth] in members and depth < len(path):
                node.setdefault(".", {})
    return tree


def from_fields_v1(tree: Obj, at: Path = ()) -> Fields:
    found: set[Path] = set()
    for step, below in tree.items():
        if step == ".":
            found.add(at)
        elif below:
            found |= from_fields_v1(below, (*at, step))
        else:
            found.add((*at, step))
    return frozenset(found)


def field_text(path: Path) -> str:
    """A path as messages show it: `.spec.containers[name="c"].image`."""
    text = ""
    for step in path:
        kind, value = step[:1], step[2:]
        if kind == "f":
            text += f".{value}"
        elif kind == "k":
            pairs = [f"{key}={_compact(part)}" for key, part in json.loads(value).items()]
            text += "[" + ",".join(pairs) + "]"
        else:
            text += f"[={value}]"
    return text
