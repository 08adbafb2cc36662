"""Collects the remarks on one object."""

from collections.abc import Mapping
from typing import Any

from aiapi_operator.plugin.adopt.fields import Fields
from aiapi_operator.plugin.adopt.remarks import Remark

NO_FIELD = "an AIApi has no such field"


class Notebook:
    """The remarks on one object."""

    def __init__(self, origin: str, near: str = "podTemplate") -> None:
        self.origin = origin
        self._near = near
        self.remarks: list[Remark] = []

    def lost(self, field: str, reason: str, value: Any = None) -> None:
        """A field that the AIApi does not have."""
        self.remarks.append(
            Remark(origin=self.origin, field=field, reason=reason, value=value)
        )  # fmt: skip

    def changed(self, field: str, reason: str, value: Any = None, *, near: str = "") -> None:
        """A field that the AIApi has in another form."""
        self.remarks.append(
            Remark(
                origin=self.origin,
                field=field,
                reason=reason,
                value=value,
                near=near or self._near,
            )
        )

    def lost_all(self, path: str, values: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
        """Keys of a map that are not carried over, each with its reason."""
        for key, reason in reasons.items():
            self.lost(f"{path}[{key}]", reason, values[key])

    def remaining(self, fields: Fields, reasons: Mapping[str, str] | None = None) -> None:
        """Everything that is left of an object."""
        known = reasons or {}
        for path, value in fields.left():
            self.lost(path, known.get(path, NO_FIELD), value)
