"""Kubernetes objects of real size: an AIApi, and the pods of a Deployment.

A pod has what a real API server and kubelet add: defaults, a token volume, conditions, container
statuses and managedFields, about 7 kB as JSON.
"""

import copy
from datetime import UTC, datetime
from typing import Any

Manifest = dict[str, Any]

NAMESPACES = 20


def namespace_of(number: int) -> str:
    return f"team-{number % NAMESPACES}"


def aiapi(number: int, *, replicas: int, most: int) -> Manifest:
    """AIApi ``number``, as its user wrote it and the API server completed it."""
    return {
        "apiVersion": "aiapi.dev/v1alpha1",
        "kind": "AIApi",
        "metadata": {
            "name": f"api-{number}",
            "namespace": namespace_of(number),
            "uid": f"aiapi-{number}",
            "generation": 1,
            "creationTimestamp": now(),
        },
        "spec": {
            "image": "ghcr.io/acme/assistant:1.4",
            "app": "assistant.main:app",
            "workers": {"min": 1, "max": 4},
            "replicas": {"min": replicas, "max": most},
            "objective": {"latency": {"percentile": 95, "threshold": "800ms"}},
        },
    }


def pod(deployment: Manifest, number: int, address: str) -> Manifest:
    """A running pod of a Deployment; ``number`` makes its name."""
    meta, template = deployment["metadata"], copy.deepcopy(deployment["spec"]["template"])
    name = f"{meta['name']}-7d9c5b6f4-{number:05d}"
    spec = template["spec"]
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        _complete(container)
    spec |= {
        "nodeName": f"node-{number % 50}",
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "enableServiceLinks": spec.get("enableServiceLinks", False),
        "tolerations": [
            _toleration("node.kubernetes.io/not-ready"),
            _toleration("node.kubernetes.io/unreachable"),
        ],
        "volumes": [*spec.get("volumes", ()), _token_volume()],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "generateName": f"{meta['name']}-7d9c5b6f4-",
            "namespace": meta["namespace"],
            "uid": f"pod-{meta['namespace']}-{name}",
            "generation": 1,
            "creationTimestamp": now(),
            "labels": {**template["metadata"].get("labels", {}), "pod-template-hash": "7d9c5b6f4"},
            "annotations": template["metadata"].get("annotations", {}),
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": f"{meta['name']}-7d9c5b6f4",
                    "uid": f"rs-{meta['uid']}",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "managedFields": [
                _fields("kube-controller-manager", spec, ""),
                _fields("kubelet", _status(spec, address), "status"),
            ],
        },
        "spec": spec,
        "status": _status(spec, address),
    }


def asleep(manifest: Manifest, port: int) -> Manifest:
    """The AIApi after it went to zero."""
    activation = {"phase": "Asleep", "since": now(), "port": port, "wakeReplicas": 1}
    activation["message"] = "No pod runs; the next request starts pods and waits for them."
    spec = {**manifest["spec"], "replicas": {**manifest["spec"]["replicas"], "min": 0}}
    status = {**manifest.get("status", {}), "activation": activation}
    return {**manifest, "spec": spec, "status": status}


def activator(number: int) -> Manifest:
    """A ready activator."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"activator-{number}",
            "namespace": "aiapi-system",
            "labels": {"app.kubernetes.io/component": "activator"},
        },
        "spec": {"containers": []},
        "status": {
            "podIP": f"127.0.0.{number + 2}",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [],
        },
    }


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _complete(container: Manifest) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", "IfNotPresent")
    container.setdefault("resources", {})
    container["volumeMounts"] = [
        *container.get("volumeMounts", ()),
        {
            "name": "kube-api-access-x7k2p",
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        },
    ]


def _toleration(key: str) -> Manifest:
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}


def _token_volume() -> Manifest:
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "name": "kube-api-access-x7k2p",
        "projected": {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {
                    "configMap": {
                        "name": "kube-root-ca.crt",
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }
                },
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
            ],
        },
    }


def _status(spec: Manifest, address: str) -> Manifest:
    time = now()
    types = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "qosClass": "Burstable",
        "hostIP": "10.0.0.7",
        "hostIPs": [{"ip": "10.0.0.7"}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": time,
        "observedGeneration": 1,
        "conditions": [
            {"type": each, "status": "True", "lastProbeTime": None, "lastTransitionTime": time}
            for each in types
        ],
        "containerStatuses": [_container_status(each, time) for each in spec["containers"]],
    }


def _container_status(container: Manifest, time: str) -> Manifest:
    digest = "sha256:" + "8f3c" * 16
    return {
        "name": container["name"],
        "state": {"running": {"startedAt": time}},
        "lastState": {},
        "ready": True,
        "started": True,
        "restartCount": 0,
        "image": container["image"],
        "imageID": f"{container['image']}@{digest}",
        "containerID": "containerd://" + "5e1b" * 16,
        "resources": container["resources"],
        "allocatedResources": (container["resources"] or {}).get("requests", {}),
    }


def _fields(manager: str, value: Manifest, subresource: str) -> Manifest:
    entry = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:status" if subresource else "f:spec": _owned(value)},
    }
    return {**entry, "subresource": subresource} if subresource else entry


def _owned(value: Any) -> Manifest:
    if isinstance(value, dict):
        return {f"f:{key}": _owned(item) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {
            f'k:{{"name":"{each.get("name", at)}"}}': _owned(each) for at, each in enumerate(value)
        }
    return {}
