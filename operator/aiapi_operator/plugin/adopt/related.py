"""Finds the objects that belong to a Deployment among those of its namespace. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """A Deployment and what belongs to it."""

    deployment: Manifest
    services: tuple[Manifest, ...] = ()
    hpa: Manifest | None = None
    scaled_object: Manifest | None = None
    vertical: tuple[Manifest, ...] = ()
    """VerticalPodAutoscalers."""
    budgets: tuple[Manifest, ...] = ()
    others: tuple[Manifest, ...] = ()
    """Objects of the namespace that have a name which the children of an AIApi could take."""
    unread: tuple[str, ...] = ()
    """Kinds that could not be listed, each with the reason."""

    @property
    def name(self) -> str:
        """The name of the Deployment."""
        return str(self.deployment["metadata"]["name"])

    @property
    def pod_labels(self) -> dict[str, str]:
        """The labels of its pods."""
        return dict((self.deployment["spec"]["template"].get("metadata") or {}).get("labels") or {})


def find(
    deployment: Manifest, objects: Iterable[Manifest], *, unread: tuple[str, ...] = ()
) -> Belongings:
    """The objects that select the pods of the Deployment or scale it."""
    everything = tuple(objects)
    name = deployment["metadata"]["name"]
    pods = (deployment["spec"]["template"].get("metadata") or {}).get("labels") or {}

    def of(kind: str) -> list[Manifest]:
        return [each for each in everything if each.get("kind") == kind]

    scaled = next((each for each in of("ScaledObject") if _targets(each, name)), None)
    # The HPA that KEDA makes for a ScaledObject has nothing of its own.
    hpa = next((each for each in of("HorizontalPodAutoscaler") if _targets(each, name)), None)
    return Belongings(
        deployment=deployment,
        services=tuple(each for each in of("Service") if _matches(_selector(each), pods)),
        hpa=None if scaled else hpa,
        scaled_object=scaled,
        vertical=tuple(each for each in of("VerticalPodAutoscaler") if _targets(each, name)),
        budgets=tuple(
            each for each in of("PodDisruptionBudget")
            if _matches(_selector(each).get("matchLabels") or {}, pods)
        ),
        others=everything,
        unread=unread,
    )  # fmt: skip


def _selector(manifest: Manifest) -> Mapping[str, Any]:
    return (manifest.get("spec") or {}).get("selector") or {}


def _matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def _targets(scaler: Manifest, name: str) -> bool:
    spec = scaler.get("spec") or {}
    target = spec.get("scaleTargetRef") or spec.get("targetRef") or {}
    return target.get("name") == name and target.get("kind", "Deployment") == "Deployment"


def title(manifest: Mapping[str, Any]) -> str:
    """Kind and name of an object."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"
