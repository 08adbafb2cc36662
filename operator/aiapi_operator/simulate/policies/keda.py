"""KEDA with a Prometheus trigger on requests in flight.

Source: https://keda.sh/docs/latest/reference/scaledobject-spec/ (pollingInterval 30 s,
cooldownPeriod 300 s) and https://keda.sh/docs/latest/scalers/prometheus/. KEDA itself only scales
between 0 and 1. From 1 to n it creates an HPA with an external metric, so the algorithm is that
of ``hpa``, with a sum instead of a mean per pod:

    desired = ceil(sum / target),  unchanged while |sum / (target x current) - 1| <= 0.1

The query is the usual one, ``avg_over_time(...[1m])``, so the value is the mean of a minute;
it is queried every 30 s (useCachedMetrics) and the HPA syncs every 15 s. The cooldown applies
only to scaling to zero, which a minimum of one or more replicas rules out.
"""

from math import ceil

from aiapi_operator.simulate.policies.hpa import SYNC, TOLERANCE, HpaBehavior
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.policies.window import RateWindow
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.state import Size

POLLING = 30.0
RANGE = 60.0


def desired_replicas(total: float, target: float, *, current: int) -> int:
    """Replicas by a sum over the fleet (an external metric of type AverageValue).

    150 in flight with a target of 20: ceil(7.5) = 8. With 7 running pods the ratio is 1.07,
    within the tolerance, so 7.
    """
    if abs(total / (target * current) - 1) <= TOLERANCE:
        return current
    return ceil(total / target - 1e-9)


class KedaPolicy:
    """A ScaledObject, and the HPA that KEDA creates for it."""

    name = "keda"
    interval = SYNC
    instant = False

    def __init__(self, initial_size: Size, replicas: Bounds, target: float) -> None:
        self.initial_size = initial_size
        self._target = target
        self._window = RateWindow(RANGE)
        self._behavior = HpaBehavior(replicas)
        self._polled: tuple[float, float] | None = None

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """One sync of the HPA; every second sync has a new value."""
        if snapshot.metrics_gone:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        self._window.add(snapshot.totals())
        value = self._poll(snapshot.now)
        if value is None:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        current = snapshot.size.replicas
        desired = desired_replicas(value, self._target, current=current)
        replicas = self._behavior.limit(desired, current=current, now=snapshot.now)
        why = f"{value:.1f} in flight, target {self._target:.1f} per pod: {desired} pods"
        return PolicyDecision(size=Size(workers=snapshot.size.workers, replicas=replicas), why=why)

    def _poll(self, now: float) -> float | None:
        if self._polled is None or now >= self._polled[0] + POLLING:
            value = self._window.concurrency(RANGE)
            self._polled = None if value is None else (now, value)
        return None if self._polled is None else self._polled[1]
