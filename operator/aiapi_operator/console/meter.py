"""Lets the console hear what the metrics hear."""

from collections.abc import Iterable
from typing import Any

from aiapi_operator.console.history import History
from aiapi_operator.engine.inventory import Key
from aiapi_operator.engine.ports import Seen
from aiapi_operator.metrics import Metrics
from aiapi_operator.sizing.decision import Condition, Decision
from aiapi_operator.sizing.inputs import SizingSpec


class MetricsWithHistory(Metrics):
    """Metrics that are remembered for the console, too."""

    def __init__(self, history: History, **options: Any) -> None:
        super().__init__(**options)
        self._history = history

    def decided(self, key: Key, spec: SizingSpec, seen: Seen, decision: Decision) -> None:
        """A decision was taken."""
        super().decided(key, spec, seen, decision)
        self._history.decided(key, spec, seen, decision)

    def diagnosed(self, key: Key, conditions: Iterable[Condition]) -> None:
        """What is told of an AIApi."""
        told = tuple(conditions)
        super().diagnosed(key, told)
        self._history.diagnosed(key, told)

    def forget(self, key: Key) -> None:
        """The AIApi is gone."""
        super().forget(key)
        self._history.forget(key)
