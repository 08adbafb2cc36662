"""KEDA with a Prometheus trigger on requests in flight.

Source: https://keda.sh/docs/latest/reference/scaledobject-spec/ (pollingInterval 30 s,
cooldownPeriod 300 s) and https://keda.sh/docs/latest/scalers/prometheus/. KEDA itself only scales
between 0 and 1. From 1 to n it creates an HPA with an external metric, so the algorithm is that
of ``hpa``, with a sum instead of a mean per pod:

    desired = ceil(sum / target),  unchanged while |sum / (target x current) - 1| <= 0.1

The query is the usual one, ``avg_over_time(...[1m])``, so the value is the mean of a minute;
it is queried every 30 s (useCachedMetrics) and the HPA syncs every 15 s.

With a minimum of 0 it is KEDA with its HTTP add-on, because KEDA alone holds no request
(https://keda.sh/http-add-on/1.0/concepts/architecture/). The add-on's interceptor counts requests
and holds them while no pod is ready, by default without a limit of their number
(KEDA_HTTP_COLD_START_MAX_PENDING_REQUESTS 0) or time (readiness timeout 0 s), and its scaler pushes
the first one to KEDA, which then starts one pod. The trigger is active while its value is above the
activation threshold of 0. When it has not been active for cooldownPeriod (300 s, scaledownPeriod in
an HTTPScaledObject), by polls every 30 s, KEDA scales to zero. The HPA's own minimum is 1.
"""

from math import inf

from aiapi_operator.simulate.hold import Front
from aiapi_operator.simulate.policies.hpa import SYNC, HpaBehavior, replicas_for_sum
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.policies.window import RateWindow
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.state import Size

POLLING = 30.0
RANGE = 60.0
COOLDOWN = 300.0
ACTIVE_ABOVE = 0.0
FRONT = Front(most=inf, seconds=inf)


class KedaPolicy:
    """A ScaledObject, and the HPA that KEDA creates for it."""

    name = "keda"
    interval = SYNC
    instant = False

    def __init__(self, initial_size: Size, replicas: Bounds, target: float) -> None:
        self.initial_size = initial_size
        self._target = target
        self._window = RateWindow(RANGE)
        self._may_sleep = replicas.min == 0
        self._behavior = HpaBehavior(Bounds(min=max(1, replicas.min), max=replicas.max))
        self._active_at = 0.0
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
        if current == 0 or self._cooled_down(value, snapshot.now):
            return self._at_zero(snapshot)
        desired = replicas_for_sum(value, self._target, current=current)
        replicas = self._behavior.limit(desired, current=current, now=snapshot.now)
        why = f"{value:.1f} in flight, target {self._target:.1f} per pod: {desired} pods"
        return PolicyDecision(size=Size(workers=snapshot.size.workers, replicas=replicas), why=why)

    def _cooled_down(self, value: float, now: float) -> bool:
        if value > ACTIVE_ABOVE:
            self._active_at = now
        return self._may_sleep and now - self._active_at >= COOLDOWN

    def _at_zero(self, snapshot: FleetSnapshot) -> PolicyDecision:
        if snapshot.held:
            self._active_at = snapshot.now
        size = Size(workers=snapshot.size.workers, replicas=1 if snapshot.held else 0)
        why = "a request came" if snapshot.held else f"not active for {COOLDOWN:.0f} s"
        return PolicyDecision(size=size, why=why)

    def _poll(self, now: float) -> float | None:
        if self._polled is None or now >= self._polled[0] + POLLING:
            value = self._window.concurrency(RANGE)
            self._polled = None if value is None else (now, value)
        return None if self._polled is None else self._polled[1]
