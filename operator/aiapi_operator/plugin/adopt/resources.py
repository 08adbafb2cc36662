"""The resources of a pod, divided by its workers."""

from decimal import Decimal
from typing import Any

from aiapi_operator.api.quantity import format_cpu, format_memory, parse_bytes, parse_quantity
from aiapi_operator.plugin.adopt.fields import Fields
from aiapi_operator.plugin.adopt.notebook import Notebook

_SIZED = ("cpu", "memory")
_NO_LIMIT = (
    "the pod grows with its workers, and a limit would stop it; add a limit for workers.max in"
    " podTemplate if the namespace demands one"
)


def convert(container: Fields, notes: Notebook, workers: int) -> tuple[dict[str, Any], Any]:
    """``spec.workers`` cpu and memory, and the resources that are merged into the pod."""
    path = f"{container.path}.resources"
    resources = container.within("resources")
    found = {}
    for name in _SIZED:
        request, limit = resources.take("requests", name), resources.take("limits", name)
        # Kubernetes requests the limit if there is no request.
        value = request if request is not None else limit
        if value is not None:
            found[name] = _share(name, value, workers)
            kind = "requests" if request is not None else "limits"
            reason = f"divided by {workers} workers: workers.{name} is {found[name]}"
            notes.changed(f"{path}.{kind}.{name}", reason, value, near="workers")
        if limit is not None:
            notes.lost(f"{path}.limits.{name}", _NO_LIMIT, limit)
    missing = [f"workers.{name}" for name in _SIZED if name not in found]
    if missing:
        reason = f"not set in the Deployment: {' and '.join(missing)} start with the defaults"
        notes.changed(path, reason, near="workers")
    return found, resources.rest()


def _share(name: str, value: Any, workers: int) -> str:
    if name == "cpu":
        return format_cpu(max(Decimal("0.001"), parse_quantity(value) / workers))
    mebibyte = 2**20
    octets = -(-parse_bytes(value) // workers)
    return format_memory(-(-octets // mebibyte) * mebibyte)
