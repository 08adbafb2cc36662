"""Lets the console hear what the metrics hear."""

from aiapi_operator.console.history import History
from aiapi_operator.engine.inventory import Key
from aiapi_operator.engine.ports import Seen
from aiapi_operator.metrics import Metrics
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.inputs import SizingSpec


class MeterWithHistory:
    """Numbers go to the metrics and to the console's history."""

    def __init__(self, metrics: Metrics, history: History) -> None:
        self._metrics = metrics
        self._history = history

    def decided(self, key: Key, spec: SizingSpec, seen: Seen, decision: Decision) -> None:
        """A decision was taken."""
        self._metrics.decided(key, spec, seen, decision)
        self._history.decided(key, spec, seen, decision)

    def ticked(self, key: Key, *, seconds: float, lag: float, outcome: str) -> None:
        """A tick ended."""
        self._metrics.ticked(key, seconds=seconds, lag=lag, outcome=outcome)

    def forget(self, key: Key) -> None:
        """The AIApi is gone."""
        self._metrics.forget(key)
        self._history.forget(key)
