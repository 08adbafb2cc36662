"""Deployments and ReplicaSets."""

from __future__ import annotations

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj
from aiapi_sandbox.apimachinery.selectors import matches_selector
from aiapi_sandbox.kinds.pod_defaults import default_pod_spec, fill
from aiapi_sandbox.kinds.pod_validation import pod_spec_errors
from aiapi_sandbox.kinds.strategies.base import Strategy


class WorkloadStrategy(Strategy):
    """What Deployments and ReplicaSets share: template, replicas and an immutable selector."""

    def prepare_for_create(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        template = spec.setdefault("template", {})
        template.setdefault("metadata", {})
        default_pod_spec(template.setdefault("spec", {}))
        if spec.get("replicas") is None:
            spec["replicas"] = 1
        obj.setdefault("status", self.initial_status())

    def initial_status(self) -> Obj:
        return {"replicas": 0}

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:
        if subresource != "status":
            self.prepare_for_create(obj)
            obj["status"] = old.get("status", {})

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        spec = obj["spec"]
        selector = spec.get("selector")
        labels = spec["template"]["metadata"].get("labels") or {}
        errors = []
        if spec["replicas"] < 0:
            detail = "must be greater than or equal to 0"
            errors.append(
                FieldViolation("FieldValueInvalid", "spec.replicas", detail, spec["replicas"])
            )
        if not selector:
            errors.append(FieldViolation("FieldValueRequired", "spec.selector"))
        elif not matches_selector(selector, labels):
            detail = "`selector` does not match template `labels`"
            where = "spec.template.metadata.labels"
            errors.append(FieldViolation("FieldValueInvalid", where, detail, labels))
        return errors + pod_spec_errors(spec["template"]["spec"], "spec.template.spec")

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:
        if subresource == "status":
            return []
        errors = self.validate_create(obj)
        selector = obj["spec"].get("selector")
        if selector != old["spec"].get("selector"):
            detail = "field is immutable"
            errors.append(FieldViolation("FieldValueInvalid", "spec.selector", detail, selector))
        return errors


class DeploymentStrategy(WorkloadStrategy):
    """Adds the rollout strategy."""

    def initial_status(self) -> Obj:
        return {}

    def prepare_for_create(self, obj: Obj) -> None:
        super().prepare_for_create(obj)
        spec = obj["spec"]
        fill(spec, strategy={}, revisionHistoryLimit=10, progressDeadlineSeconds=600)
        fill(spec["strategy"], type="RollingUpdate")
        if spec["strategy"]["type"] == "RollingUpdate":
            fill(spec["strategy"], rollingUpdate={})
            fill(spec["strategy"]["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        errors = super().validate_create(obj)
        strategy = obj["spec"]["strategy"]
        if strategy["type"] not in ("RollingUpdate", "Recreate"):
            detail = 'supported values: "Recreate", "RollingUpdate"'
            where = "spec.strategy.type"
            errors.append(FieldViolation("FieldValueNotSupported", where, detail, strategy["type"]))
        if strategy["type"] == "Recreate" and strategy.get("rollingUpdate"):
            detail = "may not be specified when strategy `type` is 'Recreate'"
            errors.append(
                FieldViolation("FieldValueForbidden", "spec.strategy.rollingUpdate", detail)
            )
        return errors
