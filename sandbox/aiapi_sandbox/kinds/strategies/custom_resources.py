"""Custom resources: their schema's defaults, constraints and CEL rules."""

from __future__ import annotations

from typing import Any

from aiapi_sandbox.apimachinery.errors import OMITTED, FieldViolation, Obj
from aiapi_sandbox.kinds.cel_rules import check_rules, has_rules
from aiapi_sandbox.kinds.correlated_object import CorrelatedObject
from aiapi_sandbox.kinds.strategies.base import Strategy
from aiapi_sandbox.kinds.structural_schema import (
    RULE_BLOCKING_REASONS,
    RULES_SKIPPED,
    apply_defaults,
    validate,
)


class CustomResourceStrategy(Strategy):
    """The strategy of one version of a CRD."""

    def __init__(self, schema: Obj, scale: Obj | None, *, has_status_subresource: bool) -> None:
        self.keeps_status_on_create = not has_status_subresource
        self._schema = {**schema, "type": "object"}
        self._scale = scale
        self._has_rules = has_rules(schema)

    def prepare_for_create(self, obj: Obj) -> None:
        apply_defaults(obj, self._schema)

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:  # noqa: ARG002
        apply_defaults(obj, self._schema)

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        return self._validate(obj, OMITTED)

    def validate_update(
        self,
        obj: Obj,
        old: Obj,
        subresource: str | None,  # noqa: ARG002 - the whole object is validated on every write
    ) -> list[FieldViolation]:
        return self._validate(obj, old)

    def _validate(self, obj: Obj, old: Any) -> list[FieldViolation]:
        errors = [error for error in self._check(obj, old, validate) if error.field != "metadata"]
        errors += self._scale_errors(obj)
        if not self._has_rules:
            return errors
        if any(error.reason in RULE_BLOCKING_REASONS for error in errors):
            return [*errors, RULES_SKIPPED]
        return errors + self._check(obj, old, check_rules)

    def _check(self, obj: Obj, old: Any, check: Any) -> list[FieldViolation]:
        """Of the metadata, which has its own validation, a schema sees only the name."""
        before = old if old is OMITTED else _without_metadata(old)
        found: list[FieldViolation] = check(
            CorrelatedObject(_without_metadata(obj), before, self._schema, "")
        )
        return found

    def _scale_errors(self, obj: Obj) -> list[FieldViolation]:
        errors = []
        for name in ("specReplicasPath", "statusReplicasPath"):
            path = (self._scale or {}).get(name)
            if not path:
                continue
            value: Any = obj
            for part in path.strip(".").split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None and not isinstance(value, int):
                kind = {"str": "string", "float": "float64"}.get(type(value).__name__, "map")
                detail = f"{path} accessor error: {value} is of the type {kind}, expected int64"
                errors.append(FieldViolation("FieldValueInvalid", path, detail, 0))
        return errors


def _without_metadata(obj: Obj) -> Obj:
    meta = obj["metadata"]
    shown = {name: meta[name] for name in ("name", "generateName") if name in meta}
    return {**obj, "metadata": shown}
