"""Labels of the children. Only one key selects the pods, so the others can change."""

MANAGED_BY = "aiapi-operator"
NAME_LABEL = "aiapi.dev/name"
SHARD_LABEL = "aiapi.dev/shard"
"""The shard that owns an AIApi. Its children have the label, too; its pods do not, because a
change of their template would replace them."""
OPERATOR_POD_LABELS = {"app.kubernetes.io/name": "aiapi-operator"}
"""Labels of the operator's pods, set by the Helm chart."""
ACTIVATOR_POD_LABELS = {
    "app.kubernetes.io/name": "aiapi-activator",
    "app.kubernetes.io/component": "activator",
}
"""Labels of the activators, set by the Helm chart."""


def selector(name: str) -> dict[str, str]:
    """The label selector of an AIApi's pods."""
    return {NAME_LABEL: name}


def selector_text(name: str) -> str:
    """The selector as text, for ``status.selector``."""
    return f"{NAME_LABEL}={name}"


def labels(name: str) -> dict[str, str]:
    """Labels of all children of an AIApi, including pods."""
    return {
        "app.kubernetes.io/name": "aiapi",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": MANAGED_BY,
        **selector(name),
    }
