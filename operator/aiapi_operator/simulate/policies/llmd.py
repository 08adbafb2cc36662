"""The latency-objective law of llm-d's autoscaler (the ``epp-saturation`` analyzer).

Source: https://github.com/llm-d/llm-d-autoscaling/pull/1376 (signal, thresholds) and the
repository's docs/developer-guide/saturation-scaling-config.md (demand over threshold).

    saturation = P90 of the latency / threshold, at most 2
    above 0.55:  ceil(replicas x saturation / 0.55)
    below 0.40:  one replica fewer, at most every 120 s

Replicas that are starting count, so one excess is not ordered twice. The P90 is that of the
last minute, and a look is taken every 30 s; both are choices made here. An API that takes more
than 0.55 of its threshold when it is idle has no size at which this law rests: it grows to the
maximum.
"""

from dataclasses import dataclass
from math import ceil

from aiapi_operator.simulate.counters import BOUNDS
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.policies.window import RateWindow
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing import histogram
from aiapi_operator.sizing.inputs import Bounds
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
    """From a saturation to a number of replicas."""

    lowered_at: float = float("-inf")

    def replicas(self, saturation: float, *, current: int, now: float) -> int:
        """Replicas wanted.

        4 replicas: 0.5 keeps them, 0.66 asks for ceil(4.8) = 5, 5.0 counts as 2 and asks for
        ceil(14.5) = 15, 0.3 for 3.
        """
        saturation = min(MOST, saturation)
        if saturation > UP_ABOVE:
            return ceil(current * saturation / UP_ABOVE - 1e-9)
        if saturation < DOWN_BELOW and now - self.lowered_at >= DOWN_EVERY:
            self.lowered_at = now
            return current - 1
        return current


class LlmDPolicy:
    """llm-d's law, with the objective's threshold."""

    name = "llm-d"
    interval = INTERVAL
    instant = False

    def __init__(self, first: Size, replicas: Bounds, threshold: float) -> None:
        self.first = first
        self._replicas = replicas
        self._threshold = threshold
        self._meter = RateWindow(WINDOW)
        self._law = SaturationScaler()

    def decide(self, view: FleetSnapshot) -> PolicyDecision:
        """One look. Without metrics nothing changes."""
        if view.silent:
            return PolicyDecision(size=view.size, why="no metrics")
        self._meter.add(view.totals())
        counts = self._meter.latencies(WINDOW)
        read = None if counts is None else histogram.percentile(BOUNDS, counts, PERCENTILE)
        if read is None:
            return PolicyDecision(size=view.size, why="no metrics")
        saturation = read.seconds / self._threshold
        wanted = self._law.replicas(saturation, current=view.size.replicas, now=view.now)
        replicas = min(self._replicas.max, max(self._replicas.min, wanted))
        why = f"P90 is {saturation:.2f} of the threshold: {wanted} replicas"
        return PolicyDecision(size=Size(workers=view.size.workers, replicas=replicas), why=why)
