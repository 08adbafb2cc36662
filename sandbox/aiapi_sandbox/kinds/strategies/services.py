"""Services, and the allocation of their cluster IPs."""

from __future__ import annotations

import ipaddress
import random

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj
from aiapi_sandbox.kinds.pod_defaults import fill
from aiapi_sandbox.kinds.strategies.base import Strategy

_CLUSTER_IPS = ipaddress.ip_network("127.96.0.0/16")
_FIRST_INDEX = 10
_LAST_INDEX = 65_000


class ServiceStrategy(Strategy):
    """Allocates each Service a cluster IP from 127.96.0.0/16, which is then immutable."""

    def __init__(self) -> None:
        # Sandboxes on one machine share the range; a random start makes collisions unlikely.
        self._next = random.randrange(_FIRST_INDEX, _LAST_INDEX)  # noqa: S311 - not a secret

    def prepare_for_create(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        fill(spec, type="ClusterIP", sessionAffinity="None")
        if spec["type"] != "ExternalName":
            self._default_network(spec)
        obj["status"] = {"loadBalancer": {}}

    def _default_network(self, spec: Obj) -> None:
        if not spec.get("clusterIP"):
            spec["clusterIP"] = str(_CLUSTER_IPS[self._next])
            self._next = self._next + 1 if self._next < _LAST_INDEX else _FIRST_INDEX
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
