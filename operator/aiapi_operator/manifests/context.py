"""What the children depend on besides the AIApi itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The operator's surroundings, and what the right-sizer wants of the pod template."""

    operator_namespace: str
    """Where the operator runs: the only namespace that may reach the pods' admin port."""
    default_image: str
    """Image of an AIApi that names none."""
    template_workers: int
    """Workers that a new pod starts with: ``spec.workers.min`` where running pods can be
    resized, the wanted number where they cannot."""
    resize_in_place: bool
    """Whether the API server has ``pods/resize``."""
    metrics_from: Mapping[str, str] = field(default_factory=dict)
    """Labels of the namespaces that may read the pods' metrics as well; nobody where empty."""
