"""Records in the console's history what is recorded in the metrics."""

from collections.abc import Iterable
from typing import Any

from aiapi_operator.console.history import History
from aiapi_operator.engine.cache import Key
from aiapi_operator.engine.ports import ObservedFleet
from aiapi_operator.metrics.operator_metrics import OperatorMetrics
from aiapi_operator.sizing.decision import Condition, Decision
from aiapi_operator.sizing.inputs import SizingSpec


class MetricsWithHistory(OperatorMetrics):
    """The operator's metrics, recorded in a history as well."""

    def __init__(self, history: History, **options: Any) -> None:
        super().__init__(**options)
        self._history = history

    def record_decision(
        self, key: Key, spec: SizingSpec, fleet: ObservedFleet, decision: Decision
    ) -> None:
        """Record a decision."""
        super().record_decision(key, spec, fleet, decision)
        self._history.record_decision(key, spec, fleet, decision)

    def record_conditions(self, key: Key, conditions: Iterable[Condition]) -> None:
        """Record the conditions of an AIApi."""
        all_conditions = tuple(conditions)
        super().record_conditions(key, all_conditions)
        self._history.record_conditions(key, all_conditions)

    def forget(self, key: Key) -> None:
        """Drop a deleted AIApi."""
        super().forget(key)
        self._history.forget(key)
