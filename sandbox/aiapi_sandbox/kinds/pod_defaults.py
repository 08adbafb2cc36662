"""Defaulting of pods and pod templates, as in a real API server."""

from __future__ import annotations

from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.quantities import canonical

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_VOLUME_MODES = ("secret", "configMap", "downwardAPI", "projected")
_DEFAULT_MODE = 420  # 0644
_NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def fill(target: Obj, **values: Any) -> None:
    for name, value in values.items():
        if target.get(name) is None:
            target[name] = value


def default_pod_spec(spec: Obj) -> None:
    """Defaults of a PodSpec, in a template or a pod."""
    fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            _default_container(container)
    for volume in spec.get("volumes") or ():
        _default_volume(volume)
    for constraint in spec.get("topologySpreadConstraints") or ():
        fill(constraint, whenUnsatisfiable="DoNotSchedule")


def _default_container(container: Obj) -> None:
    image = str(container.get("image") or "")
    latest = ":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest")
    fill(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy="Always" if latest and "@" not in image else "IfNotPresent",
    )
    _default_resources(container["resources"])
    for port in container.get("ports") or ():
        fill(port, protocol="TCP")
    for name in _PROBES:
        if probe := container.get(name):
            fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if action := probe.get("httpGet"):
                fill(action, path="/", scheme="HTTP")
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and (action := hook.get("httpGet")):
            fill(action, path="/", scheme="HTTP")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        if reference := source.get("fieldRef"):
            fill(reference, apiVersion="v1")
        if reference := source.get("resourceFieldRef"):
            fill(reference, divisor="0")


def _default_resources(resources: Obj) -> None:
    for part in ("limits", "requests"):
        amounts = resources.get(part)
        if isinstance(amounts, dict):
            for name, amount in amounts.items():
                amounts[name] = _short(amount)
    if resources.get("limits"):
        requests = resources.setdefault("requests", {})
        for name, amount in resources["limits"].items():
            requests.setdefault(name, amount)


def _short(amount: Any) -> Any:
    try:
        return canonical(amount)
    except ValueError:
        return amount  # validation reports it


def _default_volume(volume: Obj) -> None:
    for kind in _VOLUME_MODES:
        if (source := volume.get(kind)) is not None:
            fill(source, defaultMode=_DEFAULT_MODE)
    if (source := volume.get("hostPath")) is not None:
        fill(source, type="")
    for source in (volume.get("projected") or {}).get("sources") or ():
        if token := source.get("serviceAccountToken"):
            fill(token, expirationSeconds=3600)


def default_pod(pod: Obj) -> None:
    """Defaults of a pod, including those of the admission plugins."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    fill(
        spec,
        serviceAccountName="default",
        serviceAccount=spec.get("serviceAccountName") or "default",
        priority=0,
        enableServiceLinks=True,
        preemptionPolicy="PreemptLowerPriority",
    )
    tolerations = spec.setdefault("tolerations", [])
    for key in _NOT_READY:
        if not any(item.get("key") in (key, None, "") for item in tolerations):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
            )
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(pod)}


def qos_class(pod: Obj) -> str:
    """Guaranteed, Burstable or BestEffort, from requests and limits of CPU and memory."""
    named = False
    guaranteed = True
    for container in pod["spec"].get("containers") or ():
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in ("cpu", "memory"):
            named |= name in limits or name in requests
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                guaranteed = False
    if not named:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
