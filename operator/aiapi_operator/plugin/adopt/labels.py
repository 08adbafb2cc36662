"""Labels and annotations: which ones move to the AIApi and its pods.

The new pods must not match the selectors of the old objects: the Service would send them traffic
before anyone decided so, the HPA would count their CPU, and a pod with two PodDisruptionBudgets
cannot be evicted.
"""

from collections.abc import Iterable, Mapping

from aiapi_operator.api.container import OWNED_LABELS

TRAFFIC_LABEL = "aiapi.dev/traffic"
"""The label that the pods of both fleets have while traffic moves."""

_TOOL = "belongs to the tool that manages this object, which would take the AIApi for its own"
_TOOL_KEYS = (
    "argocd.argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "helm.sh/",
    "app.kubernetes.io/managed-by",
    "objectset.rio.cattle.io/",
    "keel.sh/",
    "reloader.stakater.com/",
)
SERVER_ANNOTATIONS = (
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubectl.kubernetes.io/restartedAt",
)
"""Annotations that kubectl and the Deployment controller write."""


def of_object(given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What the AIApi keeps of an object's labels or annotations, and why not the others."""
    kept, reasons = {}, {}
    for key, value in given.items():
        if key in SERVER_ANNOTATIONS:
            continue
        if key.startswith(_TOOL_KEYS):
            reasons[key] = _TOOL
        else:
            kept[key] = value
    return kept, reasons


def of_pods(
    given: Mapping[str, str], selectors: Iterable[tuple[str, Mapping[str, str]]]
) -> tuple[dict[str, str], dict[str, str]]:
    """What the new pods keep of the old pods' labels, and why not the others.

    ``selectors`` are the match labels of the Deployment, its Services and its budgets, by name.
    """
    kept = {key: value for key, value in given.items() if key not in OWNED_LABELS}
    reasons = {key: "the operator sets this label" for key in given if key in OWNED_LABELS}
    for name, selector in selectors:
        if selector and selector.items() <= kept.items():
            reason = (
                f"{name} selects pods by it and must not select the new ones yet; NetworkPolicies"
                f" and monitors that select by it need {TRAFFIC_LABEL} instead"
            )
            reasons |= dict.fromkeys(selector, reason)
            kept = {key: value for key, value in kept.items() if key not in selector}
    return kept, reasons
