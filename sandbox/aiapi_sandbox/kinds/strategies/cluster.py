"""Namespaces and Nodes."""

from __future__ import annotations

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.kinds.strategies.base import Strategy


class NamespaceStrategy(Strategy):
    """A finalizer in the spec keeps a Namespace until its content is deleted."""

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
