"""ConfigMaps and Secrets."""

from __future__ import annotations

import base64

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj
from aiapi_sandbox.kinds.pod_defaults import fill
from aiapi_sandbox.kinds.strategies.base import Strategy


class SecretStrategy(Strategy):
    """Merges the write-only `stringData` into `data`."""

    def prepare_for_create(self, obj: Obj) -> None:
        fill(obj, type="Opaque")
        _encode_string_data(obj)

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:  # noqa: ARG002
        fill(obj, type=old.get("type", "Opaque"))
        _encode_string_data(obj)

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:  # noqa: ARG002
        errors = []
        if obj.get("type") != old.get("type"):
            detail = "field is immutable"
            errors.append(FieldViolation("FieldValueInvalid", "type", detail, obj.get("type")))
        return errors + immutable_errors(obj, old)


class ConfigMapStrategy(Strategy):
    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:  # noqa: ARG002
        return immutable_errors(obj, old)


def immutable_errors(obj: Obj, old: Obj) -> list[FieldViolation]:
    if not old.get("immutable"):
        return []
    detail = "field is immutable when `immutable` is set"
    return [
        FieldViolation("FieldValueForbidden", name, detail)
        for name in ("immutable", "data", "binaryData")
        if obj.get(name) != old.get(name)
    ]


def _encode_string_data(obj: Obj) -> None:
    texts = obj.pop("stringData", None) or {}
    if texts:
        data = obj.get("data") or {}
        obj["data"] = data | {
            name: base64.b64encode(text.encode()).decode() for name, text in texts.items()
        }
