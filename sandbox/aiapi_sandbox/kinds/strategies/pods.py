"""Pods: after creation, only the resize subresource changes their resources."""

from __future__ import annotations

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj
from aiapi_sandbox.kinds.pod_defaults import default_pod, default_pod_spec
from aiapi_sandbox.kinds.pod_validation import (
    drop_non_resize_updates,
    pod_resize_errors,
    pod_spec_errors,
    pod_update_errors,
)
from aiapi_sandbox.kinds.strategies.base import Strategy


class PodStrategy(Strategy):
    """Almost nothing in a pod's spec may change; the resize subresource changes resources only."""

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
