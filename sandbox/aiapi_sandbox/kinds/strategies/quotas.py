"""ResourceQuotas and LimitRanges."""

from __future__ import annotations

from collections.abc import Iterator

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj, not_implemented
from aiapi_sandbox.apimachinery.quantities import canonical, parse_quantity
from aiapi_sandbox.kinds.quota_rules import COUNTED
from aiapi_sandbox.kinds.strategies.base import Strategy

_TYPES = ("Container", "Pod")
_PARTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


class ResourceQuotaStrategy(Strategy):
    """Counts pods, and their requests and limits of CPU and memory."""

    def prepare_for_create(self, obj: Obj) -> None:
        _shorten(obj.setdefault("spec", {}), "hard")

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:  # noqa: ARG002
        self.prepare_for_create(obj)

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        spec = obj["spec"]
        if spec.get("scopes") or spec.get("scopeSelector"):
            raise not_implemented("scopes of a ResourceQuota")
        for name in spec.get("hard") or {}:
            if name not in COUNTED:
                raise not_implemented(f"a ResourceQuota of {name}")
        return list(_amount_errors(spec.get("hard") or {}, "spec.hard"))

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:  # noqa: ARG002
        return [] if subresource else self.validate_create(obj)


class LimitRangeStrategy(Strategy):
    """Defaults derive from each other: the limit from max, the request from the limit or min."""

    def prepare_for_create(self, obj: Obj) -> None:
        for item in obj.setdefault("spec", {}).get("limits") or ():
            for part in _PARTS:
                _shorten(item, part)
            if item.get("type") == "Container":
                _derive(item, "default", "max")
                _derive(item, "defaultRequest", "default")
                _derive(item, "defaultRequest", "min")

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:  # noqa: ARG002
        self.prepare_for_create(obj)

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        errors: list[FieldViolation] = []
        for index, item in enumerate(obj["spec"].get("limits") or ()):
            if item.get("type") not in _TYPES:
                raise not_implemented(f"a LimitRange of type {item.get('type')}")
            for part in _PARTS:
                errors += _amount_errors(item.get(part) or {}, f"spec.limits[{index}].{part}")
        return errors

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:  # noqa: ARG002
        return self.validate_create(obj)


def _derive(item: Obj, target: str, source: str) -> None:
    if item.get(source):
        item[target] = {**item[source], **(item.get(target) or {})}


def _shorten(owner: Obj, field: str) -> None:
    """Store quantities in canonical form; validation reports the others."""
    amounts = owner.get(field)
    if isinstance(amounts, dict) and not list(_amount_errors(amounts, field)):
        owner[field] = {name: canonical(amount) for name, amount in amounts.items()}


def _amount_errors(amounts: Obj, path: str) -> Iterator[FieldViolation]:
    for name, amount in amounts.items():
        try:
            parse_quantity(amount)
        except ValueError as error:
            yield FieldViolation("FieldValueInvalid", f"{path}[{name}]", str(error), amount)
