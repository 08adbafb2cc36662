"""A column of the Table format that `kubectl get` prints."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj


@dataclass(frozen=True)
class TableColumn:
    """A column and how to compute its cells. A priority above 0 means `-o wide` only."""

    name: str
    cell: Callable[[Obj], Any]
    type: str = "string"
    priority: int = 0
    format: str = ""
    description: str = ""
