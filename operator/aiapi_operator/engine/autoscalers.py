"""Other autoscalers that want the same Deployment: who they are, and what is told of them. Pure.

Two loops that set one number fight, and the fleet swings between their answers. So where another
autoscaler targets the Deployment, the operator only recommends until one of the two is gone. One
that targets the AIApi's own scale subresource is welcome: it moves the floor, and the operator
decides between floor and ceiling.
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
    """An autoscaler and what it scales."""

    kind: str
    name: str
    target_kind: str
    target: Key
    created_by: str = ""
    """The object that it was made for, such as ``ScaledObject web``."""

    @property
    def title(self) -> str:
        """As people know it."""
        made = f", made for {self.created_by}" if self.created_by else ""
        return f"{self.kind} {self.name}{made}"

    @property
    def conflicts(self) -> bool:
        """Whether it sets what the operator sets, and not the AIApi's floor."""
        return self.target_kind == DEPLOYMENTS.kind


class AutoscalerSource(Protocol):
    """Knows the autoscalers in the cluster."""

    def targeting(self, key: Key) -> Sequence[ForeignAutoscaler]:
        """Those whose target is this AIApi or its Deployment."""

    @property
    def list_error(self) -> str:
        """Why some could not be looked for; empty when all could."""


class NoAutoscalers:
    """A cluster in which there are no others."""

    list_error = ""

    def targeting(self, key: Key) -> Sequence[ForeignAutoscaler]:  # noqa: ARG002 - the protocol's
        """Nobody."""
        return ()


def read(manifest: Manifest) -> ForeignAutoscaler | None:
    """The autoscaler that a manifest describes; None for one that leaves AIApis alone."""
    kind, metadata = manifest["kind"], manifest["metadata"]
    spec = manifest.get("spec") or {}
    target = spec.get("targetRef" if kind == "VerticalPodAutoscaler" else "scaleTargetRef") or {}
    if kind == "VerticalPodAutoscaler" and not _changes_pods(spec):
        return None
    # A ScaledObject that does not say what it scales means a Deployment.
    target_kind = target.get("kind") or DEPLOYMENTS.kind
    if target_kind not in (DEPLOYMENTS.kind, KIND) or not target.get("name"):
        return None
    return ForeignAutoscaler(
        kind=kind,
        name=metadata["name"],
        target_kind=target_kind,
        target=(metadata["namespace"], target["name"]),
        created_by=_created_by(metadata),
    )


def _created_by(metadata: Mapping[str, Any]) -> str:
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner['kind']} {owner['name']}"
    return ""


def _changes_pods(spec: Mapping[str, Any]) -> bool:
    """Whether a VerticalPodAutoscaler changes the app's container in pods that run."""
    mode = (spec.get("updatePolicy") or {}).get("updateMode", "Auto")
    if mode in ("Off", "Initial"):
        return False
    policies = (spec.get("resourcePolicy") or {}).get("containerPolicies") or ()
    modes = {policy.get("containerName"): policy.get("mode") for policy in policies}
    return modes.get(APP_CONTAINER, modes.get("*")) != "Off"


def effective_spec(spec: SizingSpec, autoscalers: Iterable[ForeignAutoscaler]) -> SizingSpec:
    """The wishes as the operator follows them while others scale the Deployment."""
    if spec.mode is Mode.AUTO and any(autoscaler.conflicts for autoscaler in autoscalers):
        return replace(spec, mode=Mode.RECOMMEND)
    return spec


def condition(key: Key, autoscalers: Sequence[ForeignAutoscaler], *, list_error: str) -> Condition:
    """What is told of the others."""
    conflicting = [autoscaler for autoscaler in autoscalers if autoscaler.conflicts]
    if conflicting:
        return Condition(
            type=CONDITION,
            status=True,
            reason=conflicting[0].kind,
            message=_what_to_do(key, conflicting),
        )
    if list_error:
        return Condition(type=CONDITION, status=None, reason="NotAllowedToLook", message=list_error)
    if autoscalers:
        names = " and ".join(autoscaler.title for autoscaler in autoscalers)
        message = (
            f"{names} moves the floor (spec.replicas.min) through the scale subresource;"
            " the operator decides above it."
        )
        return Condition(type=CONDITION, status=False, reason="SetsTheFloor", message=message)
    message = "No other autoscaler targets the Deployment."
    return Condition(type=CONDITION, status=False, reason="NoneFound", message=message)


def _what_to_do(key: Key, conflicting: Sequence[ForeignAutoscaler]) -> str:
    namespace, name = key
    titles = " and ".join(autoscaler.title for autoscaler in conflicting)
    first = conflicting[0]
    delete = first.created_by or f"{first.kind} {first.name}"
    kind, _, what = delete.partition(" ")
    beside = (
        "To run beside it for now, set its updateMode to Off."
        if first.kind == "VerticalPodAutoscaler"
        else f"To run beside it, let its scaleTargetRef name AIApi {name}: then it moves the floor."
    )
    return (
        f"{titles} scales Deployment {name}, too. The operator does not fight it: it only"
        f" recommends, as in mode Recommend. To let the operator act, delete the other one"
        f" (kubectl delete -n {namespace} {kind.lower()} {what}). {beside}"
    )
