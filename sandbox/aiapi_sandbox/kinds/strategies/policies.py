"""NetworkPolicies, PodDisruptionBudgets and role bindings."""

from __future__ import annotations

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj
from aiapi_sandbox.kinds.pod_defaults import fill
from aiapi_sandbox.kinds.strategies.base import Strategy


class NetworkPolicyStrategy(Strategy):
    def prepare_for_create(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("podSelector", {})
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        for rule in [*(spec.get("ingress") or ()), *(spec.get("egress") or ())]:
            for port in rule.get("ports") or ():
                fill(port, protocol="TCP")

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:  # noqa: ARG002
        self.prepare_for_create(obj)


class PodDisruptionBudgetStrategy(Strategy):
    def prepare_for_create(self, obj: Obj) -> None:
        obj["status"] = {
            "disruptionsAllowed": 0,
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
        }

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        spec = obj.get("spec") or {}
        if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
            detail = "minAvailable and maxUnavailable cannot be both set"
            return [FieldViolation("FieldValueInvalid", "spec", detail, spec)]
        return []

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:  # noqa: ARG002
        return self.validate_create(obj)


class RoleBindingStrategy(Strategy):
    """The subjects may change, the role may not."""

    def prepare_for_create(self, obj: Obj) -> None:
        fill(obj.setdefault("roleRef", {}), apiGroup="rbac.authorization.k8s.io")
        for subject in obj.get("subjects") or ():
            if subject.get("kind") in ("User", "Group"):
                fill(subject, apiGroup="rbac.authorization.k8s.io")

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:  # noqa: ARG002
        self.prepare_for_create(obj)

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        return [
            FieldViolation("FieldValueRequired", f"roleRef.{name}")
            for name in ("kind", "name")
            if not obj["roleRef"].get(name)
        ]

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:  # noqa: ARG002
        if obj["roleRef"] != old["roleRef"]:
            why = "cannot change roleRef"
            return [FieldViolation("FieldValueInvalid", "roleRef", why, obj["roleRef"])]
        return []
