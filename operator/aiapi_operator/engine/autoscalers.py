"""Other autoscalers of the same Deployment, and the condition that reports them. Pure.

Two controllers that set the same field fight, and the fleet swings between their decisions. While
another autoscaler targets the Deployment, the operator only recommends. An autoscaler that
targets the AIApi's scale subresource is supported: it moves the minimum, and the operator decides
between minimum and maximum.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from aiapi_operator.api.aiapi import KIND
from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.cluster.resources import DEPLOYMENTS, Manifest
from aiapi_operator.engine.cache import Key
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.inputs import Mode, SizingSpec

CONDITION = "ForeignAutoscaler"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignAutoscaler:
    """Another autoscaler and its target."""

    kind: str
    name: str
    target_kind: str
    target: Key
    owner: str = ""
    """The object that controls it, such as ``ScaledObject web``."""

    @property
    def title(self) -> str:
        """Kind, name and owner, for messages."""
        owned = f", owned by {self.owner}" if self.owner else ""
        return f"{self.kind} {self.name}{owned}"

    @property
    def conflicts(self) -> bool:
        """Whether it sets the fields that the operator sets, rather than the AIApi's minimum."""
        return self.target_kind == DEPLOYMENTS.kind


class AutoscalerSource(Protocol):
    """Finds the other autoscalers in the cluster."""

    def targeting(self, key: Key) -> Sequence[ForeignAutoscaler]:
        """Those that target this AIApi or its Deployment."""

    @property
    def list_error(self) -> str:
        """Why some kinds cannot be listed; empty when all can."""


class NoAutoscalers:
    """A cluster without other autoscalers."""

    list_error = ""

    def targeting(self, key: Key) -> Sequence[ForeignAutoscaler]:  # noqa: ARG002 - the protocol's
        """No autoscalers."""
        return ()


def read(manifest: Manifest) -> ForeignAutoscaler | None:
    """The autoscaler in a manifest; None for one that does not target an AIApi's fields."""
    kind, metadata = manifest["kind"], manifest["metadata"]
    spec = manifest.get("spec") or {}
    target = spec.get("targetRef" if kind == "VerticalPodAutoscaler" else "scaleTargetRef") or {}
    if kind == "VerticalPodAutoscaler" and not _changes_pods(spec):
        return None
    # The kind of a ScaledObject's target defaults to Deployment.
    target_kind = target.get("kind") or DEPLOYMENTS.kind
    if target_kind not in (DEPLOYMENTS.kind, KIND) or not target.get("name"):
        return None
    return ForeignAutoscaler(
        kind=kind,
        name=metadata["name"],
        target_kind=target_kind,
        target=(metadata["namespace"], target["name"]),
        owner=_owner(metadata),
    )


def _owner(metadata: Mapping[str, Any]) -> str:
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner['kind']} {owner['name']}"
    return ""


def _changes_pods(spec: Mapping[str, Any]) -> bool:
    """Whether a VerticalPodAutoscaler changes the app container of running pods."""
    mode = (spec.get("updatePolicy") or {}).get("updateMode", "Auto")
    if mode in ("Off", "Initial"):
        return False
    policies = (spec.get("resourcePolicy") or {}).get("containerPolicies") or ()
    modes = {policy.get("containerName"): policy.get("mode") for policy in policies}
    return modes.get(APP_CONTAINER, modes.get("*")) != "Off"


def effective_spec(spec: SizingSpec, autoscalers: Iterable[ForeignAutoscaler]) -> SizingSpec:
    """The spec, in mode Recommend while another autoscaler conflicts."""
    if spec.mode is Mode.AUTO and any(each.conflicts for each in autoscalers):
        return replace(spec, mode=Mode.RECOMMEND)
    return spec


def condition(key: Key, autoscalers: Sequence[ForeignAutoscaler], *, list_error: str) -> Condition:
    """The condition ForeignAutoscaler."""
    conflicting = [each for each in autoscalers if each.conflicts]
    if conflicting:
        return Condition(
            type=CONDITION,
            status=True,
            reason=conflicting[0].kind,
            message=_conflict_message(key, conflicting),
        )
    if list_error:
        return Condition(type=CONDITION, status=None, reason="NotAllowedToLook", message=list_error)
    if autoscalers:
        titles = " and ".join(each.title for each in autoscalers)
        message = (
            f"{titles} sets the minimum (spec.replicas.min) through the scale subresource;"
            " the operator decides above it."
        )
        return Condition(type=CONDITION, status=False, reason="SetsTheFloor", message=message)
    message = "No other autoscaler targets the Deployment."
    return Condition(type=CONDITION, status=False, reason="NoneFound", message=message)


def _conflict_message(key: Key, conflicting: Sequence[ForeignAutoscaler]) -> str:
    namespace, name = key
    titles = " and ".join(each.title for each in conflicting)
    first = conflicting[0]
    kind, _, what = (first.owner or f"{first.kind} {first.name}").partition(" ")
    alternative = (
        "To keep it, set its updateMode to Off."
        if first.kind == "VerticalPodAutoscaler"
        else f"To keep it, point its scaleTargetRef at AIApi {name}: it then sets the minimum."
    )
    return (
        f"{titles} also scales Deployment {name}, so the operator only recommends. To let the"
        f" operator act, run: kubectl delete -n {namespace} {kind.lower()} {what}. {alternative}"
    )
