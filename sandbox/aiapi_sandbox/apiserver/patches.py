"""JSON patch, JSON merge patch and strategic merge patch."""

from __future__ import annotations

from typing import Any

import jsonpatch

from aiapi_sandbox.apimachinery.errors import ApiError, Obj, bad_request
from aiapi_sandbox.apimachinery.json_copy import copy_json
from aiapi_sandbox.kinds.type_schema import ANY, TypeSchema

_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"
_RETAIN = "$retainKeys"
_DIRECTIVE = "$patch"
_MAX_OPERATIONS = 10_000


def json_patch(target: Obj, operations: Any) -> Obj:
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > _MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}"
        raise ApiError(413, "RequestEntityTooLarge", message)
    try:
        result: Obj = jsonpatch.JsonPatch(operations).apply(copy_json(target))
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        message = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", message, details={}) from error
    return result


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null deletes, objects merge, other values replace."""
    if not isinstance(patch, dict):
        return copy_json(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def strategic_patch(target: Any, patch: Any, schema: TypeSchema) -> Any:
    """Like a merge patch, but merges lists by their merge keys and supports `$` directives."""
    if not isinstance(patch, dict):
        return copy_json(patch)
    if patch.get(_DIRECTIVE) == "replace":
        return {name: copy_json(value) for name, value in patch.items() if name != _DIRECTIVE}
    if patch.get(_DIRECTIVE) == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        child = schema.child(name) or ANY
        if value is None:
            result.pop(name, None)
        elif isinstance(value, list):
            result[name] = _patch_list(result.get(name), value, child)
        else:
            result[name] = strategic_patch(result.get(name), value, child)
    _apply_directives(result, patch, schema)
    return result


def _apply_directives(result: Obj, patch: Obj, schema: TypeSchema) -> None:
    if isinstance(kept := patch.get(_RETAIN), list):
        for name in tuple(result):
            if name not in kept:
                del result[name]
    for name, value in patch.items():
        if name.startswith(_DELETE):
            field = name.removeprefix(_DELETE)
            result[field] = [item for item in result.get(field) or () if item not in value]
        elif name.startswith(_ORDER):
            field = name.removeprefix(_ORDER)
            if isinstance(result.get(field), list):
                key = (schema.child(field) or ANY).patch_merge_key
                result[field] = _ordered(result[field], value, key)


def _identity(item: Any, key: str) -> Any:
    return item.get(key) if key and isinstance(item, dict) else item


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """Items in the given order; items that it does not list keep their position."""
    ranks = [_identity(item, key) for item in order]
    named = [item for item in items if _identity(item, key) in ranks]
    named.sort(key=lambda item: ranks.index(_identity(item, key)))
    waiting = iter(named)
    return [next(waiting) if _identity(item, key) in ranks else item for item in items]


def _patch_list(target: Any, patch: list[Any], schema: TypeSchema) -> list[Any]:
    present = list(target) if isinstance(target, list) else []
    if schema.is_set:
        return present + [copy_json(item) for item in patch if item not in present]
    key = schema.patch_merge_key
    if not key:
        return [copy_json(item) for item in patch]
    if any(isinstance(item, dict) and item == {_DIRECTIVE: "replace"} for item in patch):
        return [copy_json(item) for item in patch if item != {_DIRECTIVE: "replace"}]
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        same = [i for i, old in enumerate(present) if old.get(key) == item[key]]
        if item.get(_DIRECTIVE) == "delete":
            present = [old for old in present if old.get(key) != item[key]]
        elif same:
            present[same[0]] = strategic_patch(present[same[0]], item, schema.item)
        else:
            present.append(strategic_patch({}, item, schema.item))
    return present
