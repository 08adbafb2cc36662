"""Remarks: what an AIApi cannot carry over, or carries over in another form, and why."""

import json
from dataclasses import dataclass
from typing import Any


class AdoptionError(Exception):
    """The Deployment cannot become an AIApi. The message says what is missing and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One field of one object."""

    origin: str
    """Kind and name of the object, such as ``Deployment assistant``."""
    field: str
    """Path within the object, such as ``spec.strategy``."""
    reason: str
    value: Any = None
    near: str = ""
    """Field of the AIApi's spec that the remark explains; empty for a field without counterpart."""

    @property
    def text(self) -> str:
        """The remark without its origin."""
        value = "" if self.value is None else f" = {_compact(self.value)}"
        return f"{self.field}{value}: {self.reason}"


def _compact(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
