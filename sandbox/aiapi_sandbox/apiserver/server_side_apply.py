"""Server-side apply: merges a configuration into an object by field ownership."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from aiapi_sandbox.apimachinery.errors import ApiError, FieldViolation, Obj, invalid
from aiapi_sandbox.apimachinery.json_copy import copy_json
from aiapi_sandbox.apiserver.field_sets import (
    EMPTY,
    Fields,
    Path,
    applied_fields,
    children,
    compare,
    field_text,
    item_element,
)
from aiapi_sandbox.apiserver.managed_fields import FieldManager, ManagedFields, trackable
from aiapi_sandbox.kinds.type_schema import ANY, TypeSchema


def require_field_manager(name: str) -> None:
    if not name:
        error = FieldViolation("FieldValueRequired", "fieldManager", "is required for apply patch")
        raise invalid("meta.k8s.io", "PatchOptions", "", [error])


def merge(live: Any, config: Any, schema: TypeSchema) -> Any:
    """Merge the configuration into the live value."""
    if schema.atomic or config is None:
        return copy_json(config)
    if isinstance(config, dict) and schema.kind in ("object", "map", "any"):
        result = dict(live) if isinstance(live, dict) else {}
        for name, value in config.items():
            result[name] = merge(result.get(name), value, schema.child(name) or ANY)
        return result
    if isinstance(config, list) and schema.kind == "list":
        return _merge_list(live if isinstance(live, list) else [], config, schema)
    return copy_json(config)


def _merge_list(live: list[Any], config: list[Any], schema: TypeSchema) -> list[Any]:
    """Merge items by key. Applied items keep the configured order, the others their position."""
    present = {item_element(item, schema): item for item in live}
    wanted: dict[str, Any] = {}
    for item in config:
        element = item_element(item, schema)
        if element in wanted:
            raise ApiError(
                500, "InternalError", f"duplicate entries for key {field_text((element,))}"
            )
        wanted[element] = merge(present.get(element), item, schema.item)
    result = []
    queue = [element for element in wanted if element in present]
    for element, item in present.items():
        result.append(wanted[queue.pop(0)] if element in wanted else item)
    return result + [item for element, item in wanted.items() if element not in present]


def remove(value: Any, schema: TypeSchema, removed: Fields, kept: Fields, at: Path = ()) -> Any:
    """The value without the fields in `removed`, except `kept` fields and their parents."""
    parts = children(value, schema)
    if parts is None:
        return value
    below_removed = any(path[: len(at)] == at and len(path) > len(at) for path in removed)
    if not below_removed:
        return value
    left: list[tuple[str, Any]] = []
    for element, part, child in parts:
        here = (*at, element)
        holds_kept = any(path[: len(here)] == here for path in kept)
        if here in removed and not holds_kept:
            continue
        reduced = remove(part, child, removed, kept, here)
        if part and reduced in ({}, []) and not holds_kept:
            continue
        if element[0] == "k":  # an item needs its keys
            reduced |= {key: part[key] for key in schema.keys if key in part}
        left.append((element, reduced))
    if isinstance(value, dict):
        return {element[2:]: part for element, part in left}
    return [part for _, part in left]


def apply(  # noqa: PLR0913 - the parameters of an apply request
    live: Obj | None,
    config: Obj,
    *,
    schema: TypeSchema,
    manager: FieldManager,
    force: bool,
    has_status_subresource: bool,
) -> tuple[Obj, ManagedFields]:
    """Return the merged object and its field managers. Raises Conflict unless forced."""
    subresource = manager.subresource or None
    configured = trackable(
        config, subresource=subresource, has_status_subresource=has_status_subresource
    )
    fields = applied_fields(configured, schema)
    managers = ManagedFields.of(live) if live else ManagedFields()
    if live is None:
        start: Obj = {k: copy_json(config[k]) for k in ("apiVersion", "kind", "metadata")}
        start["metadata"].pop("managedFields", None)
        return merge(start, configured, schema), _assigned(managers, manager, fields)
    merged: Obj = {**live, **merge(live, configured, schema)}
    dropped = managers.fields_of(manager) - fields
    others = managers.others(manager)
    released = dropped - others
    if released:
        merged = remove(merged, schema, released, others | fields | _identity())
    changed, removed = compare(
        trackable(live, subresource=subresource, has_status_subresource=has_status_subresource),
        trackable(merged, subresource=subresource, has_status_subresource=has_status_subresource),
        schema,
    )
    conflicts = {
        other: owned.fields & changed
        for other, owned in managers.entries.items()
        if other != manager and owned.fields & changed
    }
    if conflicts and not force:
        raise _conflict(conflicts)
    managers.disown(changed | removed, keep=manager)
    return merged, _assigned(managers, manager, fields)


@dataclass(frozen=True)
class ApplyTracker:
    """Writes the field managers into the object. The time changes only with the object."""

    manager: FieldManager
    managers: ManagedFields
    time: str

    def track(self, new: Obj, old: Obj | None) -> None:
        owned = self.managers.entries[self.manager]
        before = ManagedFields.of(old).entries.get(self.manager) if old else None
        same = before and before.fields == owned.fields and _content(new) == _content(old)
        time = before.time if before and same else self.time
        self.managers.entries[self.manager] = replace(owned, time=time)
        self.managers.write(new)


def _content(obj: Obj | None) -> Obj | None:
    if obj is None:
        return None
    meta = {
        k: v for k, v in obj["metadata"].items() if k not in ("managedFields", "resourceVersion")
    }
    return {**obj, "metadata": meta}


def _identity() -> Fields:
    return frozenset({("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name")})


def _assigned(managers: ManagedFields, manager: FieldManager, fields: Fields) -> ManagedFields:
    """Assign the new fields; ApplyTracker sets the time."""
    managers.assign(manager, fields or EMPTY, "")
    return managers


def _conflict(conflicts: dict[FieldManager, Fields]) -> ApiError:
    causes, texts = [], []
    for manager, fields in sorted(conflicts.items()):
        who = f"conflict with {json.dumps(manager.name)}"
        if manager.subresource:
            who += f' with subresource "{manager.subresource}"'
        if manager.operation == "Update":
            who += f" using {manager.api_version}"
        listed = [field_text(path) for path in sorted(fields)]
        causes += [
            {"reason": "FieldManagerConflict", "message": who, "field": path} for path in listed
        ]
        texts.append(
            f"{who}: {listed[0]}" if len(listed) == 1 else f"{who}:\n- " + "\n- ".join(listed)
        )
    count = len(causes)
    head = f"Apply failed with {count} conflict{'' if count == 1 else 's'}: "
    separator = "\n" if len(texts) > 1 else ""
    message = head[:-1] + separator + "\n".join(texts) if separator else head + texts[0]
    return ApiError(409, "Conflict", message, details={"causes": causes})
