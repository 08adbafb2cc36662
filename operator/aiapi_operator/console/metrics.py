"""Lets the console hear what the metrics hear."""

from collections.abc import Iterable
from typing import Any

from aiapi_operator.console.history import History
from aiapi_operator.engine.cache import Key
from aiapi_operator.engine.ports import ObservedFleet
from aiapi_operator.metrics.operator_metrics import OperatorMetrics
from aiapi_operator.sizing.decision import Condition, Decision
from aiapi_operator.sizing.inputs import SizingSpec


class MetricsWithHistory(OperatorMetrics):
    """Metrics that are remembered for the console, too."""

    def __init__(self, history: History, **options: Any) -> None:
        super().__init__(**options)
        self._history = history

    def record_decision(
        self, key: Key, spec: SizingSpec, seen: ObservedFleet, decision: Decision
    ) -> None:
        """A decision was taken."""
        super().record_decision(key, spec, seen, decision)
        self._history.decided(key, spec, seen, decision)

    def record_conditions(self, key: Key, conditions: Iterable[Condition]) -> None:
        """What is told of an AIApi."""
        told = tuple(conditions)
        super().record_conditions(key, told)
        self._history.diagnosed(key, told)

    def forget(self, key: Key) -> None:
        """The AIApi is gone."""
        super().forget(key)
        self._history.forget(key)
