"""Whether an object already has all that a manifest sets, so that an apply would change nothing.

The comparison errs on one side only: where it is not sure, the manifest is applied, and the API
server decides. It knows what the API server does to a manifest: it leaves out empty values, adds
defaults, and writes quantities in its own way.
"""

from typing import Any

from aiapi_operator.api.quantity import parse_quantity

_QUANTITIES = {"requests", "limits", "sizeLimit"}
_ATOMIC = {
    "selector",
    "matchLabels",
    "nodeSelector",
    "podSelector",
    "namespaceSelector",
    "labelSelector",
    "fieldRef",
    "resourceFieldRef",
    "secretKeyRef",
    "configMapKeyRef",
}
"""Objects that have one owner: an apply removes what others added."""


def contains(found: Any, wanted: Any) -> bool:
    """Whether ``found`` has everything in ``wanted``. Lists must have the same items in order."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            _has(found, key, value) for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(map(contains, found, wanted))
        )
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _has(found: dict[str, Any], key: str, value: Any) -> bool:
    if key not in found:
        return not value
    present = found[key]
    if key in _QUANTITIES:
        return _has_amounts(present, value)
    if key in _ATOMIC and isinstance(present, dict) and present.keys() - (value or {}).keys():
        return False
    return contains(present, value)


def _has_amounts(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(key in found and _has_amounts(found[key], wanted[key]) for key in wanted)
    try:
        return parse_quantity(found) == parse_quantity(wanted)
    except (TypeError, ValueError):
        return False
