"""The latency objective of llm-d's autoscaler (the ``epp-saturation`` analyzer).

Source: https://github.com/llm-d/llm-d-autoscaling/pull/1376 (signal, thresholds) and the
repository's docs/developer-guide/saturation-scaling-config.md (demand over threshold).

    saturation = P90 of the latency / threshold, at most 2
    above 0.55:  ceil(replicas x saturation / 0.55)
    below 0.40:  one replica fewer, at most every 120 s

Starting replicas count, so the same excess does not add replicas twice. The P90 is that of the
last minute, and a decision is made every 30 s; both are choices of this model. For an API that
takes more than 0.55 of its threshold when idle, the algorithm has no stable size: it scales to
the maximum.
"""

from dataclasses import dataclass
from math import ceil

from aiapi_operator.simulate.counters import BOUNDS
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.policies.window import RateWindow
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing import histogram
from aiapi_operator.sizing.inputs import Bounds, ObjectiveKind
from aiapi_operator.sizing.state import Size

INTERVAL = 30.0
WINDOW = 60.0
PERCENTILE = 90.0
MOST = 2.0
UP_ABOVE = 0.55
DOWN_BELOW = 0.40
DOWN_EVERY = 120.0


@dataclass(slots=True)
class SaturationScaler:
    """The desired replicas from a saturation."""

    lowered_at: float = float("-inf")

    def replicas(self, saturation: float, *, current: int, now: float) -> int:
        """Desired replicas.

        4 replicas: 0.5 keeps them, 0.66 gives ceil(4.8) = 5, 5.0 counts as 2 and gives
        ceil(14.5) = 15, 0.3 gives 3.
        """
        saturation = min(MOST, saturation)
        if saturation > UP_ABOVE:
            return ceil(current * saturation / UP_ABOVE - 1e-9)
        if saturation < DOWN_BELOW and now - self.lowered_at >= DOWN_EVERY:
            self.lowered_at = now
            return current - 1
        return current


class LlmDPolicy:
    """llm-d's algorithm, with the objective's threshold."""

    name = "llm-d"
    interval = INTERVAL
    instant = False

    def __init__(
        self,
        initial_size: Size,
        replicas: Bounds,
        threshold: float,
        kind: ObjectiveKind = ObjectiveKind.LATENCY,
    ) -> None:
        self._kind = kind
        self.initial_size = initial_size
        self._replicas = replicas
        self._threshold = threshold
        self._window = RateWindow(WINDOW)
        self._scaler = SaturationScaler()

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """One decision. Without metrics the size is kept."""
        if snapshot.metrics_gone:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        self._window.add(snapshot.totals())
        counts = self._window.latencies(WINDOW, self._kind)
        read = None if counts is None else histogram.percentile(BOUNDS, counts, PERCENTILE)
        if read is None:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        saturation = read.seconds / self._threshold
        wanted = self._scaler.replicas(saturation, current=snapshot.size.replicas, now=snapshot.now)
        replicas = min(self._replicas.max, max(self._replicas.min, wanted))
        why = f"P90 is {saturation:.2f} of the threshold: {wanted} replicas"
        return PolicyDecision(size=Size(workers=snapshot.size.workers, replicas=replicas), why=why)
