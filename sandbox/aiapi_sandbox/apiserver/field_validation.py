"""Field validation of request bodies: unknown fields, and values of the wrong type."""

from __future__ import annotations

from typing import Any

from aiapi_sandbox.apimachinery.errors import ApiError, Obj, bad_request
from aiapi_sandbox.apiserver.request_body import JSON_TYPE_NAMES
from aiapi_sandbox.kinds.resources import ApiResource
from aiapi_sandbox.kinds.type_schema import TypeSchema, builtin_type, prune, unknown_fields

_GO_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "string"),
    "int": ((int,), "int32"),
    "float": ((int, float), "float64"),
    "bool": ((bool,), "bool"),
    "bytes": ((str,), "[]uint8"),
    "time": ((str,), "string"),
    "quantity": ((str, int, float), "resource.Quantity"),
    "intstr": ((str, int), "intstr.IntOrString"),
}


def validate_fields(
    obj: Obj, schema: TypeSchema, resource: ApiResource, validation: str
) -> tuple[str, ...]:
    """Drop unknown fields, in place. Strict rejects them, Warn returns warnings."""
    if validation not in ("Strict", "Warn", "Ignore"):
        raise bad_request(f"invalid fieldValidation: {validation}")
    if resource.custom:
        _require_types(obj.get("metadata"), builtin_type("ObjectMeta"), resource, "metadata")
    else:
        _require_types(obj, schema, resource, "")
    unknown = [f'unknown field "{path}"' for path in unknown_fields(obj, schema)]
    if not unknown:
        return ()
    if validation == "Strict":
        kind, version = resource.kind, resource.gvr.version
        raise bad_request(
            f'{kind} in version "{version}" cannot be handled as a {kind}: '
            f"strict decoding error: {', '.join(unknown)}"
        )
    prune(obj, schema)
    return tuple(unknown) if validation == "Warn" else ()


def _require_types(value: Any, schema: TypeSchema, resource: ApiResource, path: str) -> None:
    """Built-in kinds have Go types: a value of another type cannot be decoded."""
    if value is None or schema.kind == "any" or schema.type == "any":
        return
    if schema.kind in ("object", "map"):
        if not isinstance(value, dict):
            raise _wrong_type(value, schema.type or "map", resource, path)
        for name, part in value.items():
            child = schema.child(name)
            if child is not None:
                _require_types(part, child, resource, f"{path}.{name}" if path else name)
    elif schema.kind == "list":
        if not isinstance(value, list):
            raise _wrong_type(value, f"[]{schema.item.type}", resource, path)
        for part in value:
            _require_types(part, schema.item, resource, path)
    else:
        types, name = _GO_TYPES[schema.type]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise _wrong_type(value, name, resource, path)


def _wrong_type(value: Any, wanted: str, resource: ApiResource, path: str) -> ApiError:
    kind, got = resource.kind, JSON_TYPE_NAMES.get(type(value), "number")
    return bad_request(
        f'{kind} in version "{resource.gvr.version}" cannot be handled as a {kind}: json: cannot '
        f"unmarshal {got} into Go struct field {kind}.{path} of type {wanted}"
    )
