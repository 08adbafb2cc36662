"""Shapes: which fields an object may have, and how lists and maps merge.

Built-in kinds get theirs from `types.txt`, custom ones from their CRD's schema. Server-side apply,
strategic patches, pruning and strict decoding all walk objects by these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from aiapi_sandbox.errors import Obj

Kind = Literal["scalar", "object", "map", "list", "any"]
_LIST = re.compile(r"^\[(.*)\](@\S+|~\S+)?$")
_MAP = re.compile(r"^\{(.*)\}(atomic)?$")


@dataclass(frozen=True, eq=False)
class Shape:
    """One place in an object. `any` is whatever the value says: maps merge, lists are replaced."""

    kind: Kind
    type: str = ""
    atomic: bool = False
    fields: Callable[[], Mapping[str, Shape]] = dict
    open: bool = False  # an object that keeps fields it does not know
    element: Callable[[], Shape] | None = None
    keys: tuple[str, ...] = ()
    is_set: bool = False
    patch_key: str = ""
    defaults: Mapping[str, Any] | None = None  # of list items: defaults for their keys

    def child(self, name: str) -> Shape | None:
        """The shape of a field; None where there is no such field."""
        if self.kind == "map":
            return self.item
        if self.kind == "any":
            return ANY
        found = self.fields().get(name)
        return ANY if found is None and self.open else found

    @property
    def item(self) -> Shape:
        return self.element() if self.element else ANY


ANY = Shape("any")
LEAF = Shape("scalar", "any", atomic=True)


@cache
def type_table() -> dict[str, tuple[bool, dict[str, tuple[str, bool]]]]:
    """Type name -> (atomic, field -> (type, required))."""
    table = {}
    text = resources.files(__package__).joinpath("types.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        head, _, body = line.partition(" =")
        fields = {}
        for part in body.split():
            name, _, type_ = part.partition(":")
            fields[name.rstrip("!")] = (type_, name.endswith("!"))
        table[head.rstrip("*")] = (head.endswith("*"), fields)
    return table


@cache
def builtin(name: str) -> Shape:
    """The shape of a built-in type, such as `Deployment`."""
    if name == "JSONSchemaProps":
        return Shape("any", name, atomic=True)
    atomic, fields = type_table()[name]

    @cache
    def children() -> Mapping[str, Shape]:
        return {field: _parse(type_) for field, (type_, _) in fields.items()}

    return Shape("object", name, atomic=atomic, fields=children)


@cache
def _parse(type_: str) -> Shape:
    if found := _LIST.match(type_):
        item, mark = found[1], found[2] or ""
        keys = tuple(mark[1:].split(",")) if mark.startswith("@") and mark != "@set" else ()
        return Shape(
            "list",
            type_,
            atomic=not keys and mark != "@set",
            element=lambda: _parse(item),
            keys=keys,
            is_set=mark == "@set",
            patch_key=mark[1:] if mark.startswith("~") else (keys[0] if keys else ""),
            defaults={"protocol": "TCP"} if "protocol" in keys else None,
        )
    if found := _MAP.match(type_):
        value = found[1]
        return Shape("map", type_, atomic=bool(found[2]), element=lambda: _parse(value))
    if type_ == "any":
        return LEAF
    if type_[0].isupper():
        return builtin(type_)
    return Shape("scalar", type_)


def from_schema(schema: Obj) -> Shape:  # noqa: PLR0911 - one return a kind of node
    """The shape that a structural schema describes."""
    if schema.get("x-kubernetes-int-or-string"):
        return Shape("scalar", "intstr")
    kind = schema.get("type")
    if kind == "array":
        return _list_from(schema)
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    extra = schema.get("additionalProperties")
    if kind == "object" and isinstance(extra, dict):
        return Shape("map", atomic=atomic, element=lambda: from_schema(extra))
    if kind == "object" and "properties" in schema:
        children = {name: from_schema(part) for name, part in schema["properties"].items()}
        keeps = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        return Shape("object", atomic=atomic, fields=lambda: children, open=keeps)
    if kind == "object" and not schema.get("x-kubernetes-preserve-unknown-fields") and not extra:
        return Shape("object", atomic=atomic)
    if kind in (None, "object"):
        return Shape("any", atomic=atomic)
    return Shape("scalar", kind)


def _list_from(schema: Obj) -> Shape:
    items = schema.get("items") or {}
    how = schema.get("x-kubernetes-list-type", "atomic")
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ()) if how == "map" else ()
    item = from_schema(items)
    given = {
        name: part["default"]
        for name, part in (items.get("properties") or {}).items()
        if name in keys and "default" in part
    }
    return Shape(
        "list",
        atomic=how == "atomic",
        element=lambda: item,
        keys=keys,
        is_set=how == "set",
        defaults=given or None,
    )


def custom_object(schema: Obj) -> Shape:
    """The shape of a whole custom object: its schema, with Kubernetes' own metadata."""
    inner = from_schema({"type": "object", **schema})
    known: dict[str, Shape] = {
        "apiVersion": Shape("scalar", "str"),
        "kind": Shape("scalar", "str"),
        "metadata": builtin("ObjectMeta"),
    }
    if inner.kind == "any":
        return Shape("object", fields=lambda: known, open=True)
    children = {**inner.fields(), **known}
    return Shape("object", fields=lambda: children, open=inner.open)


def unknown_fields(value: Any, shape: Shape, path: str = "") -> list[str]:
    """Paths of fields that the shape does not have."""
    found: list[str] = []
    if isinstance(value, dict) and shape.kind in ("object", "map"):
        for name, item in value.items():
            where = f"{path}.{name}" if path else name
            child = shape.child(name)
            found += [where] if child is None else unknown_fields(item, child, where)
    elif isinstance(value, list) and shape.kind == "list":
        for index, item in enumerate(value):
            found += unknown_fields(item, shape.item, f"{path}[{index}]")
    return found


def prune(value: Any, shape: Shape) -> None:
    """Drop fields that the shape does not have, in place."""
    if isinstance(value, dict) and shape.kind in ("object", "map"):
        for name in tuple(value):
            child = shape.child(name)
            if child is None:
                del value[name]
            else:
                prune(value[name], child)
    elif isinstance(value, list) and shape.kind == "list":
        for item in value:
            prune(item, shape.item)
