"""HorizontalPodAutoscalers."""

from __future__ import annotations

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj
from aiapi_sandbox.kinds.pod_defaults import fill
from aiapi_sandbox.kinds.strategies.base import Strategy


class HorizontalPodAutoscalerStrategy(Strategy):
    def prepare_for_create(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        fill(spec, minReplicas=1)
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": 80}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:  # noqa: ARG002
        self.prepare_for_create(obj)

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        spec, errors = obj["spec"], []
        target = spec.get("scaleTargetRef") or {}
        errors += [
            FieldViolation("FieldValueRequired", f"spec.scaleTargetRef.{name}")
            for name in ("kind", "name")
            if not target.get(name)
        ]
        least, most = spec["minReplicas"], spec.get("maxReplicas") or 0
        if least < 1:
            detail = "must be greater than or equal to 1"
            errors.append(FieldViolation("FieldValueInvalid", "spec.minReplicas", detail, least))
        if most < 1:
            detail = "must be greater than 0"
            errors.append(FieldViolation("FieldValueInvalid", "spec.maxReplicas", detail, most))
        if most < least:
            detail = "must be greater than or equal to `minReplicas`"
            errors.append(FieldViolation("FieldValueInvalid", "spec.maxReplicas", detail, most))
        return errors

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:  # noqa: ARG002
        return [] if subresource else self.validate_create(obj)
