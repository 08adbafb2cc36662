"""A column of the table that `kubectl get` prints."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj


@dataclass(frozen=True)
class TableColumn:
    """One column: its head, and how to read its cell. Priority above 0 is for -o wide."""

    name: str
    cell: Callable[[Obj], Any]
    type: str = "string"
    priority: int = 0
    format: str = ""
    description: str = ""
