"""managedFields: which field manager owns which field, updated on every write through the API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.apiserver.field_sets import (
    EMPTY,
    Fields,
    Path,
    compare,
    from_fields_v1,
    to_fields_v1,
)
from aiapi_sandbox.kinds.type_schema import TypeSchema

_UNTRACKED_METADATA = frozenset(
    {
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    }
)
# Structs that built-in objects always have: setting a field in one does not mean to own it.
_ALWAYS_PRESENT = frozenset(
    {
        "f:spec",
        "f:status",
        "f:strategy",
        "f:template",
        "f:metadata",
        "f:containers",
        "f:conditions",
        "f:names",
    }
)


@dataclass(frozen=True, order=True)
class FieldManager:
    """The identity of an entry: one name may have entries per operation and subresource."""

    operation: str
    name: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True)
class OwnedFields:
    """The fields of one manager, and when they last changed."""

    fields: Fields = EMPTY
    time: str = ""


@dataclass
class ManagedFields:
    """The managedFields entries of one object."""

    entries: dict[FieldManager, OwnedFields] = field(default_factory=dict)

    @classmethod
    def of(cls, obj: Obj) -> ManagedFields:
        entries = {}
        for item in obj["metadata"].get("managedFields") or ():
            manager = FieldManager(
                item.get("operation", "Update"),
                item.get("manager", ""),
                item.get("apiVersion", ""),
                item.get("subresource", ""),
            )
            fields = from_fields_v1(item.get("fieldsV1") or {})
            entries[manager] = OwnedFields(fields, item.get("time", ""))
        return cls(entries)

    def fields_of(self, manager: FieldManager) -> Fields:
        return self.entries.get(manager, OwnedFields()).fields

    def others(self, manager: FieldManager) -> Fields:
        return frozenset().union(
            *(owned.fields for other, owned in self.entries.items() if other != manager)
        )

    def disown(self, fields: Fields, *, keep: FieldManager | None = None) -> None:
        """Remove these fields from all managers except one."""
        for manager, owned in tuple(self.entries.items()):
            if manager != keep:
                self.entries[manager] = replace(owned, fields=owned.fields - fields)

    def assign(self, manager: FieldManager, fields: Fields, time: str) -> None:
        """Set the fields of a manager. Its time changes only when the fields do."""
        before = self.entries.get(manager)
        if before is None or before.fields != fields:
            self.entries[manager] = OwnedFields(fields, time)

    def write(self, obj: Obj) -> None:
        """Write the entries into the object, in the order of a real API server."""
        kept = [(manager, owned) for manager, owned in self.entries.items() if owned.fields]
        kept.sort(
            key=lambda pair: (
                pair[0].operation,
                pair[1].time,
                pair[0].name,
                pair[0].api_version,
                pair[0].subresource,
            )
        )
        if kept:
            obj["metadata"]["managedFields"] = [_entry(*pair) for pair in kept]
        else:
            obj["metadata"].pop("managedFields", None)


def _entry(manager: FieldManager, owned: OwnedFields) -> Obj:
    entry: Obj = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
    }
    if owned.time:
        entry["time"] = owned.time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": to_fields_v1(owned.fields)}
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def trackable(
    obj: Obj, *, subresource: str | None = None, has_status_subresource: bool = False
) -> Obj:
    """The part of an object whose fields a write to this subresource can own."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in _UNTRACKED_METADATA}
    result = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "metadata")}
    if subresource == "status":
        return {"status": result["status"]} if "status" in result else {}
    if has_status_subresource:
        result.pop("status", None)
    if meta:
        result["metadata"] = meta
    return result


def _without_structs(fields: Iterable[Path], *, custom: bool) -> Fields:
    """Drop fields that only contain others and are always present."""
    present = frozenset({"f:metadata"}) if custom else _ALWAYS_PRESENT
    paths = set(fields)
    inner = {path[:depth] for path in paths for depth in range(1, len(path))}
    return frozenset(
        path
        for path in paths
        if path not in inner or not all(element in present for element in path)
    )


@dataclass(frozen=True)
class UpdateTracker:
    """Tracks ownership on create, update and patch (operation Update)."""

    manager: FieldManager
    schema: TypeSchema
    time: str
    custom: bool
    has_status_subresource: bool

    def track(self, new: Obj, old: Obj | None) -> None:
        """Set the managedFields of `new`. A write without changes keeps the owners."""
        subresource = self.manager.subresource or None
        after = trackable(
            new, subresource=subresource, has_status_subresource=self.has_status_subresource
        )
        before: Obj = {}
        if old is not None:
            before = trackable(
                old, subresource=subresource, has_status_subresource=self.has_status_subresource
            )
        managers = ManagedFields.of(old) if old is not None else ManagedFields()
        try:
            changed, removed = compare(before, after, self.schema)
        except ApiError:  # list items without keys cannot be owned
            changed, removed = EMPTY, EMPTY
        changed = _without_structs(changed, custom=self.custom)
        if changed or removed:
            managers.disown(removed)
            managers.disown(changed, keep=self.manager)
            owned = managers.fields_of(self.manager) | changed
            managers.entries[self.manager] = OwnedFields(owned, self.time)
        managers.write(new)
