"""The EndpointSlice controller: the pods of each Service and their state."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.selectors import parse_labels
from aiapi_sandbox.controllers.controller_ref import controller_reference
from aiapi_sandbox.controllers.manager import MapFunc, ObjectKey, object_key
from aiapi_sandbox.kinds.resources import ENDPOINTSLICES, PODS, SERVICES, GroupVersionResource
from aiapi_sandbox.storage.store import Store

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
JsonObject = Mapping[str, Any]
Ports = tuple[tuple[str, str, int], ...]


def is_ready(pod: JsonObject) -> bool:
    """Whether the pod's Ready condition is true."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def target_ports(service: JsonObject, pod: JsonObject) -> Ports:
    """Return the Service's target ports on this pod, as (name, protocol, number)."""
    found = []
    for port in service["spec"].get("ports", ()):
        target = port.get("targetPort", port["port"])
        protocol = port.get("protocol", "TCP")
        number = target if isinstance(target, int) else _named_port(pod, target, protocol)
        if number is not None:
            found.append((port.get("name", ""), protocol, number))
    return tuple(found)


def _named_port(pod: JsonObject, name: str, protocol: str) -> int | None:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports", ()):
            if port.get("name") == name and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def endpoint(pod: JsonObject, *, publish_not_ready: bool) -> Obj:
    """Return the endpoint of one pod."""
    ready, terminating = is_ready(pod), "deletionTimestamp" in pod["metadata"]
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": publish_not_ready or (ready and not terminating),
            "serving": publish_not_ready or ready,
            "terminating": terminating,
        },
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
    }


class EndpointSliceController:
    """Maintains one slice per distinct set of target ports; most Services have one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        return {
            SERVICES: lambda obj: [object_key(obj)],
            PODS: self._selecting,
            ENDPOINTSLICES: self._owner,
        }

    def _selecting(self, pod: Obj) -> Iterable[ObjectKey]:
        labels = pod["metadata"].get("labels") or {}
        for service in self._store.scan(SERVICES, pod["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            if selector and selector.items() <= labels.items():
                yield object_key(service)

    @staticmethod
    def _owner(endpoint_slice: Obj) -> Iterable[ObjectKey]:
        labels = endpoint_slice["metadata"].get("labels") or {}
        if labels.get(MANAGED_BY) == MANAGER:
            yield ObjectKey(endpoint_slice["metadata"]["namespace"], labels[SERVICE_LABEL])

    def reconcile(self, key: ObjectKey) -> float | None:
        service = self._store.find(SERVICES, *key)
        if service is None or not service["spec"].get("selector"):
            return None
        wanted = {
            endpoint_slice["metadata"]["name"]: endpoint_slice
            for endpoint_slice in self._slices(service)
        }
        labels = {SERVICE_LABEL: key.name, MANAGED_BY: MANAGER}
        present = {
            endpoint_slice["metadata"]["name"]
            for endpoint_slice in self._store.scan(ENDPOINTSLICES, key.namespace, labels)
        }
        for name in present - wanted.keys():
            self._store.delete(ENDPOINTSLICES, key.namespace, name)
        for name, endpoint_slice in wanted.items():
            if name in present:
                self._store.mutate(ENDPOINTSLICES, key.namespace, name, _overlay(endpoint_slice))
            else:
                self._store.create(ENDPOINTSLICES, endpoint_slice)
        return None

    def _slices(self, service: JsonObject) -> Iterable[Obj]:
        grouped: dict[Ports, list[Obj]] = {}
        selector = service["spec"]["selector"]
        publish = bool(service["spec"].get("publishNotReadyAddresses"))
        for pod in self._store.scan(PODS, service["metadata"]["namespace"]):
            labels = pod["metadata"].get("labels") or {}
            if parse_labels(selector)(labels) and _has_address(pod):
                entry = endpoint(pod, publish_not_ready=publish)
                grouped.setdefault(target_ports(service, pod), []).append(entry)
        for ports, entries in (grouped or {(): []}).items():
            yield self._slice(service, ports, entries)

    @staticmethod
    def _slice(service: JsonObject, ports: Ports, entries: list[Obj]) -> Obj:
        meta = service["metadata"]
        identity = json.dumps([meta["uid"], ports]).encode()
        suffix = hashlib.sha256(identity).hexdigest()[:5]
        own_labels = {SERVICE_LABEL: meta["name"], MANAGED_BY: MANAGER}
        return {
            "metadata": {
                "name": f"{meta['name']}-{suffix}",
                "namespace": meta["namespace"],
                "labels": (meta.get("labels") or {}) | own_labels,
                "ownerReferences": [controller_reference(service)],
            },
            "addressType": "IPv4",
            "endpoints": entries,
            "ports": [{"name": n, "protocol": p, "port": number} for n, p, number in ports],
        }


def _has_address(pod: JsonObject) -> bool:
    status = pod.get("status", {})
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")


def _overlay(endpoint_slice: Obj) -> Any:
    def change(found: Obj) -> None:
        found["metadata"]["labels"] = endpoint_slice["metadata"]["labels"]
        found["endpoints"], found["ports"] = endpoint_slice["endpoints"], endpoint_slice["ports"]

    return change
