"""KEDA with a Prometheus trigger on requests in flight.

Source: https://keda.sh/docs/latest/reference/scaledobject-spec/ (pollingInterval 30 s,
cooldownPeriod 300 s) and https://keda.sh/docs/latest/scalers/prometheus/. KEDA only starts and
stops the first replica itself. From 1 to n it is an external metric of an HPA that it makes,
so the law is that of ``hpa``, on a sum in place of a mean a pod:

    desired = ceil(sum / target),  unchanged while |sum / (target x current) - 1| <= 0.1

The query is the usual one, ``avg_over_time(...[1m])``, so the value is the mean of a minute;
it is asked every 30 s (useCachedMetrics) and the HPA syncs every 15 s. The cooldown counts
before the last replica goes to zero, which a floor of one or more replicas rules out.
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

    150 in flight with a target of 20: ceil(7.5) = 8. With 7 pods that run it is 1.07 of what
    they should have, within the tolerance, so 7.
    """
    if abs(total / (target * current) - 1) <= TOLERANCE:
        return current
    return ceil(total / target - 1e-9)


class KedaPolicy:
    """A ScaledObject, and the HPA that KEDA makes of it."""

    name = "keda"
    interval = SYNC
    instant = False

    def __init__(self, first: Size, replicas: Bounds, target: float) -> None:
        self.first = first
        self._target = target
        self._meter = RateWindow(RANGE)
        self._behavior = HpaBehavior(replicas)
        self._polled: tuple[float, float] | None = None

    def decide(self, view: FleetSnapshot) -> PolicyDecision:
        """One sync of the HPA; every other one with a fresh value."""
        if view.silent:
            return PolicyDecision(size=view.size, why="no metrics")
        self._meter.add(view.totals())
        value = self._poll(view.now)
        if value is None:
            return PolicyDecision(size=view.size, why="no metrics")
        current = view.size.replicas
        desired = desired_replicas(value, self._target, current=current)
        replicas = self._behavior.limit(desired, current=current, now=view.now)
        why = f"{value:.1f} in flight, target {self._target:.1f} a pod: {desired} pods"
        return PolicyDecision(size=Size(workers=view.size.workers, replicas=replicas), why=why)

    def _poll(self, now: float) -> float | None:
        if self._polled is None or now >= self._polled[0] + POLLING:
            value = self._meter.concurrency(RANGE)
            self._polled = None if value is None else (now, value)
        return None if self._polled is None else self._polled[1]
