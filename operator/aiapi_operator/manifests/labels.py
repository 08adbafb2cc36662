"""Labels of the children. One key selects the pods, so that the others stay free to change."""

MANAGED_BY = "aiapi-operator"
NAME_LABEL = "aiapi.dev/name"
OPERATOR_POD_LABELS = {"app.kubernetes.io/name": "aiapi-operator"}
"""Labels of the operator's own pods, as the Helm chart sets them."""


def selector(name: str) -> dict[str, str]:
    """What selects the pods of an AIApi in its namespace."""
    return {NAME_LABEL: name}


def selector_text(name: str) -> str:
    """The same as text, for ``status.selector``."""
    return f"{NAME_LABEL}={name}"


def labels(name: str) -> dict[str, str]:
    """Labels of everything that belongs to an AIApi, pods included."""
    return {
        "app.kubernetes.io/name": "aiapi",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": MANAGED_BY,
        **selector(name),
    }
