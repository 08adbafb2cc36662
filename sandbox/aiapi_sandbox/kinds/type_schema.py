"""Type schemas: which fields an object has, and how its lists and maps merge.

Built-in kinds read theirs from `builtin_types.txt`, custom kinds from the CRD's structural schema.
Server-side apply, strategic merge patch, pruning and field validation walk objects by them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from aiapi_sandbox.apimachinery.errors import Obj

Kind = Literal["scalar", "object", "map", "list", "any"]
_LIST = re.compile(r"^\[(.*)\](@\S+|~\S+)?$")
_MAP = re.compile(r"^\{(.*)\}(atomic)?$")


@dataclass(frozen=True, eq=False)
class TypeSchema:
    """The schema of a value. `any` is deduced from the value: maps merge, lists are atomic."""

    kind: Kind
    type: str = ""
    atomic: bool = False
    fields: Callable[[], Mapping[str, TypeSchema]] = dict
    preserves_unknown: bool = False  # keeps unknown fields
    element: Callable[[], TypeSchema] | None = None
    keys: tuple[str, ...] = ()
    is_set: bool = False
    patch_merge_key: str = ""
    key_defaults: Mapping[str, Any] | None = None  # defaults of a list's key fields

    def child(self, name: str) -> TypeSchema | None:
        """The schema of a field; None when there is no such field."""
        if self.kind == "map":
            return self.item
        if self.kind == "any":
            return ANY
        found = self.fields().get(name)
        return ANY if found is None and self.preserves_unknown else found

    @property
    def item(self) -> TypeSchema:
        return self.element() if self.element else ANY


ANY = TypeSchema("any")
LEAF = TypeSchema("scalar", "any", atomic=True)


@cache
def builtin_types() -> dict[str, tuple[bool, dict[str, tuple[str, bool]]]]:
    """Type name -> (atomic, field -> (type, required))."""
    table = {}
    text = resources.files(__package__).joinpath("builtin_types.txt").read_text(encoding="utf-8")
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
def builtin_type(name: str) -> TypeSchema:
    """The schema of a built-in type, such as `Deployment`."""
    if name == "JSONSchemaProps":
        return TypeSchema("any", name, atomic=True)
    atomic, fields = builtin_types()[name]

    @cache
    def children() -> Mapping[str, TypeSchema]:
        return {field: _parse(type_) for field, (type_, _) in fields.items()}

    return TypeSchema("object", name, atomic=atomic, fields=children)


@cache
def _parse(type_: str) -> TypeSchema:
    if found := _LIST.match(type_):
        item, mark = found[1], found[2] or ""
        keys = tuple(mark[1:].split(",")) if mark.startswith("@") and mark != "@set" else ()
        return TypeSchema(
            "list",
            type_,
            atomic=not keys and mark != "@set",
            element=lambda: _parse(item),
            keys=keys,
            is_set=mark == "@set",
            patch_merge_key=mark[1:] if mark.startswith("~") else (keys[0] if keys else ""),
            key_defaults={"protocol": "TCP"} if "protocol" in keys else None,
        )
    if found := _MAP.match(type_):
        value = found[1]
        return TypeSchema("map", type_, atomic=bool(found[2]), element=lambda: _parse(value))
    if type_ == "any":
        return LEAF
    if type_[0].isupper():
        return builtin_type(type_)
    return TypeSchema("scalar", type_)


def from_structural(schema: Obj) -> TypeSchema:  # noqa: PLR0911 - one return per kind of node
    """The type schema for a CRD's structural schema."""
    if schema.get("x-kubernetes-int-or-string"):
        return TypeSchema("scalar", "intstr")
    kind = schema.get("type")
    if kind == "array":
        return _list_from(schema)
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    extra = schema.get("additionalProperties")
    if kind == "object" and isinstance(extra, dict):
        return TypeSchema("map", atomic=atomic, element=lambda: from_structural(extra))
    if kind == "object" and "properties" in schema:
        children = {name: from_structural(part) for name, part in schema["properties"].items()}
        keeps = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        return TypeSchema("object", atomic=atomic, fields=lambda: children, preserves_unknown=keeps)
    if kind == "object" and not schema.get("x-kubernetes-preserve-unknown-fields") and not extra:
        return TypeSchema("object", atomic=atomic)
    if kind in (None, "object"):
        return TypeSchema("any", atomic=atomic)
    return TypeSchema("scalar", kind)


def _list_from(schema: Obj) -> TypeSchema:
    items = schema.get("items") or {}
    how = schema.get("x-kubernetes-list-type", "atomic")
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ()) if how == "map" else ()
    item = from_structural(items)
    given = {
        name: part["default"]
        for name, part in (items.get("properties") or {}).items()
        if name in keys and "default" in part
    }
    return TypeSchema(
        "list",
        atomic=how == "atomic",
        element=lambda: item,
        keys=keys,
        is_set=how == "set",
        key_defaults=given or None,
    )


def custom_resource_type(schema: Obj) -> TypeSchema:
    """The type schema of a whole custom resource: its own fields and ObjectMeta."""
    inner = from_structural({"type": "object", **schema})
    known: dict[str, TypeSchema] = {
        "apiVersion": TypeSchema("scalar", "str"),
        "kind": TypeSchema("scalar", "str"),
        "metadata": builtin_type("ObjectMeta"),
    }
    if inner.kind == "any":
        return TypeSchema("object", fields=lambda: known, preserves_unknown=True)
    children = {**inner.fields(), **known}
    return TypeSchema("object", fields=lambda: children, preserves_unknown=inner.preserves_unknown)


def unknown_fields(value: Any, schema: TypeSchema, path: str = "") -> list[str]:
    """Paths of fields that the schema does not have."""
    found: list[str] = []
    if isinstance(value, dict) and schema.kind in ("object", "map"):
        for name, item in value.items():
            where = f"{path}.{name}" if path else name
            child = schema.child(name)
            found += [where] if child is None else unknown_fields(item, child, where)
    elif isinstance(value, list) and schema.kind == "list":
        for index, item in enumerate(value):
            found += unknown_fields(item, schema.item, f"{path}[{index}]")
    return found


def prune(value: Any, schema: TypeSchema) -> None:
    """Drop fields that the schema does not have, in place."""
    if isinstance(value, dict) and schema.kind in ("object", "map"):
        for name in tuple(value):
            child = schema.child(name)
            if child is None:
                del value[name]
            else:
                prune(value[name], child)
    elif isinstance(value, list) and schema.kind == "list":
        for item in value:
            prune(item, schema.item)
