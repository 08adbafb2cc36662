"""Validation of pods on create, update and resize."""

from __future__ import annotations

import re
from typing import Any

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj
from aiapi_sandbox.apimachinery.json_copy import copy_json
from aiapi_sandbox.apimachinery.quantities import parse_quantity
from aiapi_sandbox.kinds.pod_defaults import qos_class

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_KEYS = {"env": "name", "ports": "containerPort", "volumeMounts": "mountPath"}
_MUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def pod_spec_errors(spec: Obj, path: str) -> list[FieldViolation]:
    """Basic checks of a PodSpec: names, required fields and quantities."""
    containers = spec.get("containers") or []
    if not containers:
        return [FieldViolation("FieldValueRequired", f"{path}.containers")]
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    errors: list[FieldViolation] = []
    names: list[Any] = []
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            where = f"{path}.{field}[{index}]"
            errors += _container_errors(container, where, volumes)
            name = container.get("name")
            if name in names:
                errors.append(FieldViolation("FieldValueDuplicate", f"{where}.name", value=name))
            names.append(name)
    return errors


def _container_errors(container: Obj, path: str, volumes: set[Any]) -> list[FieldViolation]:
    errors = []
    name = container.get("name")
    if not name:
        errors.append(FieldViolation("FieldValueRequired", f"{path}.name"))
    elif not _DNS_LABEL.fullmatch(name):
        errors.append(FieldViolation("FieldValueInvalid", f"{path}.name", _LABEL_TEXT, name))
    if not container.get("image"):
        errors.append(FieldViolation("FieldValueRequired", f"{path}.image"))
    for field, key in _KEYS.items():
        errors += [
            FieldViolation("FieldValueRequired", f"{path}.{field}[{index}].{key}")
            for index, item in enumerate(container.get(field) or ())
            if not item.get(key)
        ]
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            where = f"{path}.volumeMounts[{index}].name"
            errors.append(FieldViolation("FieldValueNotFound", where, value=mount.get("name")))
    return errors + _resource_errors(container.get("resources") or {}, f"{path}.resources")


def _resource_errors(resources: Obj, path: str) -> list[FieldViolation]:
    errors = []
    amounts: dict[tuple[str, str], Any] = {}
    for part in ("limits", "requests"):
        for name, amount in (resources.get(part) or {}).items():
            try:
                amounts[part, name] = parse_quantity(amount)
            except ValueError as error:
                where = f"{path}.{part}[{name}]"
                errors.append(FieldViolation("FieldValueInvalid", where, str(error), amount))
    for (part, name), amount in amounts.items():
        limit = amounts.get(("limits", name))
        if part == "requests" and limit is not None and amount > limit:
            shown = resources["requests"][name]
            detail = f"must be less than or equal to {name} limit of {resources['limits'][name]}"
            errors.append(FieldViolation("FieldValueInvalid", f"{path}.requests", detail, shown))
    return errors


def pod_update_errors(pod: Obj, old: Obj) -> list[FieldViolation]:
    """Almost nothing in a pod's spec may change after its creation."""
    if _comparable(pod["spec"], old["spec"]) == _comparable(old["spec"], old["spec"]):
        return []
    return [FieldViolation("FieldValueForbidden", "spec", _MUTABLE)]


def _comparable(spec: Obj, old: Obj) -> Obj:
    result: Obj = copy_json(spec)
    for field in ("initContainers", "containers"):
        for container in result.get(field) or ():
            container.pop("image", None)
    for field in ("activeDeadlineSeconds", "tolerations"):
        result.pop(field, None)
    if not old.get("nodeName"):  # here the scheduler binds a pod by updating its spec
        result.pop("nodeName", None)
    return result


def pod_resize_errors(pod: Obj, old: Obj) -> list[FieldViolation]:
    errors = pod_spec_errors(pod["spec"], "spec")
    if not errors and qos_class(pod) != qos_class(old):
        detail = "Pod QOS Class may not change as a result of resizing"
        errors.append(FieldViolation("FieldValueInvalid", "spec", detail, qos_class(old)))
    return errors + _removed_resources(pod["spec"], old["spec"])


def _removed_resources(spec: Obj, old: Obj) -> list[FieldViolation]:
    """A resize changes requests and limits, and may add but not remove them."""
    errors = []
    for index, (new, before) in enumerate(zip(spec["containers"], old["containers"], strict=True)):
        for part in ("requests", "limits"):
            present = (new.get("resources") or {}).get(part) or {}
            if ((before.get("resources") or {}).get(part) or {}).keys() - present.keys():
                where = f"spec.containers[{index}].resources.{part}"
                detail = f"resource {part} cannot be removed"
                errors.append(FieldViolation("FieldValueForbidden", where, detail))
    return errors


def drop_non_resize_updates(pod: Obj, old: Obj) -> None:
    """Revert everything but the containers' resources, in place."""
    spec = copy_json(old["spec"])
    wanted = {item.get("name"): item for item in pod["spec"].get("containers") or ()}
    for container in spec.get("containers") or ():
        if (new := wanted.get(container["name"])) is not None:
            container["resources"] = new.get("resources") or {}
    pod["spec"] = spec
