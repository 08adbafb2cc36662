"""The built-in kinds' own defaults and rules: those that clients and the operator meet."""

from __future__ import annotations

import base64
import ipaddress
import random
from typing import Any

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj
from aiapi_sandbox.apimachinery.selectors import matches_selector
from aiapi_sandbox.kinds.pod_defaults import default_pod, default_pod_spec, fill
from aiapi_sandbox.kinds.pod_validation import (
    drop_non_resize_updates,
    pod_resize_errors,
    pod_spec_errors,
    pod_update_errors,
)
from aiapi_sandbox.kinds.strategies.base import Strategy
from aiapi_sandbox.kinds.strategies.crds import CRDStrategy

_ADDRESSES = ipaddress.ip_network("127.96.0.0/16")
_FIRST_ADDRESS = 10


class NamespaceStrategy(Strategy):
    """Namespaces hold themselves until their content is gone."""

    keeps_status_on_create = True

    def prepare_for_create(self, obj: Obj) -> None:
        labels = obj["metadata"].setdefault("labels", {})
        labels["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:  # noqa: ARG002
        obj["spec"] = old["spec"]


class NodeStrategy(Strategy):
    """A node registers itself with its status."""

    keeps_status_on_create = True

    def prepare_for_create(self, obj: Obj) -> None:
        obj.setdefault("spec", {})
        obj.setdefault("status", {})


class PodStrategy(Strategy):
    """Pods: of their spec only the resources change, by the resize subresource."""

    def prepare_for_create(self, obj: Obj) -> None:
        default_pod(obj)

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:
        if subresource == "resize":
            drop_non_resize_updates(obj, old)
            obj["metadata"] = {
                **old["metadata"],
                "managedFields": obj["metadata"].get("managedFields", []),
            }
        default_pod_spec(obj["spec"])

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        return pod_spec_errors(obj["spec"], "spec")

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:
        if subresource == "resize":
            return pod_resize_errors(obj, old)
        return [] if subresource else pod_update_errors(obj, old)


class WorkloadStrategy(Strategy):
    """Deployments and ReplicaSets: a template, replicas, and a selector that stays."""

    def prepare_for_create(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        template = spec.setdefault("template", {})
        template.setdefault("metadata", {})
        default_pod_spec(template.setdefault("spec", {}))
        if spec.get("replicas") is None:
            spec["replicas"] = 1
        obj.setdefault("status", self.first_status())

    def first_status(self) -> Obj:
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
    """A workload with a rollout."""

    def first_status(self) -> Obj:
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


class ServiceStrategy(Strategy):
    """Services get an address of their own from 127.96.0.0/16 and keep it."""

    def __init__(self) -> None:
        # Two sandboxes on one machine share the addresses: a random start keeps them apart.
        self._next = random.randrange(_FIRST_ADDRESS, 65_000)  # noqa: S311 - not a secret

    def prepare_for_create(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        fill(spec, type="ClusterIP", sessionAffinity="None")
        if spec["type"] != "ExternalName":
            self._default_network(spec)
        obj["status"] = {"loadBalancer": {}}

    def _default_network(self, spec: Obj) -> None:
        if not spec.get("clusterIP"):
            spec["clusterIP"] = str(_ADDRESSES[self._next])
            self._next = self._next + 1 if self._next < 65_000 else _FIRST_ADDRESS
        fill(
            spec,
            clusterIPs=[spec["clusterIP"]],
            internalTrafficPolicy="Cluster",
            ipFamilies=["IPv4"],
            ipFamilyPolicy="SingleStack",
        )
        for port in spec.get("ports") or ():
            fill(port, protocol="TCP", targetPort=port.get("port"))

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:
        if subresource == "status":
            return
        spec = obj.setdefault("spec", {})
        for name in ("clusterIP", "clusterIPs"):
            if not spec.get(name) and old["spec"].get(name):
                spec[name] = old["spec"][name]
        status = obj.get("status")
        self.prepare_for_create(obj)
        obj["status"] = status or obj["status"]

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        spec = obj["spec"]
        errors = []
        needs_ports = spec.get("clusterIP") != "None" and spec["type"] != "ExternalName"
        if needs_ports and not spec.get("ports"):
            errors.append(FieldViolation("FieldValueRequired", "spec.ports"))
        for index, port in enumerate(spec.get("ports") or ()):
            where = f"spec.ports[{index}]"
            if not 1 <= (port.get("port") or 0) <= 65535:
                detail = "must be between 1 and 65535, inclusive"
                value = port.get("port") or 0
                errors.append(FieldViolation("FieldValueInvalid", f"{where}.port", detail, value))
            if len(spec["ports"]) > 1 and not port.get("name"):
                errors.append(FieldViolation("FieldValueRequired", f"{where}.name"))
        return errors

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:
        if subresource == "status":
            return []
        errors = self.validate_create(obj)
        address = obj["spec"].get("clusterIP")
        if old["spec"].get("clusterIP") not in (address, None):
            why = "may not change once set"
            errors.append(FieldViolation("FieldValueInvalid", "spec.clusterIPs[0]", why, [address]))
        return errors


class SecretStrategy(Strategy):
    """Secrets: `stringData` is written, `data` is read."""

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
    """Who is bound may change, the role may not."""

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


def builtin_strategies() -> dict[str, Strategy]:
    """A fresh set by kind: some keep count of what they have given out."""
    found: dict[str, Any] = {
        "Namespace": NamespaceStrategy(),
        "Node": NodeStrategy(),
        "Pod": PodStrategy(),
        "Deployment": DeploymentStrategy(),
        "ReplicaSet": WorkloadStrategy(),
        "Service": ServiceStrategy(),
        "Secret": SecretStrategy(),
        "ConfigMap": ConfigMapStrategy(),
        "NetworkPolicy": NetworkPolicyStrategy(),
        "PodDisruptionBudget": PodDisruptionBudgetStrategy(),
        "RoleBinding": RoleBindingStrategy(),
        "ClusterRoleBinding": RoleBindingStrategy(),
        "CustomResourceDefinition": CRDStrategy(),
    }
    return found
