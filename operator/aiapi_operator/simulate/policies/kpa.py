"""The Knative Pod Autoscaler.

Source: https://knative.dev/docs/serving/autoscaling/kpa-specific/ (windows, panic, rates) and
pkg/autoscaler/scaling/autoscaler.go of knative/serving (order of the steps).

    desired = ceil(mean concurrency of the window / target),  target = 0.7 x container concurrency

Stable window 60 s, panic window 6 s, tick 2 s. When the panic window calls for twice the ready
pods, the autoscaler enters panic mode: it uses the larger of both windows and does not scale down
until the panic condition has been false for a stable window. It scales up to at most 1,000 times
the ready pods, and down to at least half of them. An autoscaler that starts with two or more pods
starts in panic mode.

With a minimum of 0 (https://knative.dev/docs/serving/autoscaling/scale-to-zero/): when the stable
window had no request, the last pod stops after scale-to-zero-grace-period (30 s), an upper bound in
which the activator is put in the path; scale-to-zero-pod-retention-period is 0 s. At zero, and
until a pod is ready, the activator holds requests and reports them to the autoscaler, which scales
up at the first one (activation-scale 1). No limit of held requests is documented; the timeout of a
request is 300 s (revision-timeout-seconds).
"""

from dataclasses import dataclass
from math import ceil, floor, inf

from aiapi_operator.simulate.hold import Front
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.policies.window import RateWindow
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.state import Size

TICK = 2.0
STABLE = 60.0
PANIC = 6.0
PANIC_AT = 2.0
UP = 1000.0
DOWN = 2.0
UTILIZATION = 0.7
GRACE = 30.0
FRONT = Front(most=inf, seconds=300.0)


@dataclass(slots=True)
class KpaScaler:
    """``autoscaler.Scale``: the desired pods from the means of two windows."""

    target: float
    panic_since: float | None = None
    most_in_panic: int = 0

    def scale(self, *, stable: float, panic: float, ready: int, now: float) -> int:
        """Desired pods for the mean concurrency of both windows.

        Target 7, 4 pods ready, 25 in flight: ceil(25 / 7) = 4. With 60 in the last 6 s:
        ceil(60 / 7) = 9, at least twice 4, panic: 9 pods, and no fewer for 60 s.
        """
        ready = max(1, ready)
        highest, lowest = ceil(UP * ready), floor(ready / DOWN)
        in_panic = ceil(panic / self.target - 1e-9)
        by_stable = min(highest, max(lowest, ceil(stable / self.target - 1e-9)))
        by_panic = min(highest, max(lowest, in_panic))
        over = in_panic / ready >= PANIC_AT
        if over:
            self.panic_since = now
        elif self.panic_since is not None and now > self.panic_since + STABLE:
            self.panic_since, self.most_in_panic = None, 0
        if self.panic_since is None:
            return by_stable
        self.most_in_panic = max(self.most_in_panic, by_stable, by_panic)
        return self.most_in_panic


class KpaPolicy:
    """Knative's algorithm, on a fleet of pods with a fixed number of workers."""

    name = "kpa"
    interval = TICK
    instant = False

    def __init__(
        self, initial_size: Size, replicas: Bounds, *, container_concurrency: float
    ) -> None:
        self.initial_size = initial_size
        self._replicas = replicas
        self._window = RateWindow(STABLE)
        self._inactive_since: float | None = None
        self.scaler = KpaScaler(
            target=UTILIZATION * container_concurrency,
            panic_since=0.0 if initial_size.replicas > 1 else None,
            most_in_panic=initial_size.replicas if initial_size.replicas > 1 else 0,
        )

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """One tick. Without metrics the size is kept."""
        if snapshot.metrics_gone:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        totals = snapshot.totals()
        self._window.add(totals)
        stable, panic = self._window.concurrency(STABLE), self._window.concurrency(PANIC)
        if stable is None or panic is None:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        pods = self.scaler.scale(stable=stable, panic=panic, ready=totals.ready, now=snapshot.now)
        pods = min(self._replicas.max, max(self._replicas.min, pods))
        pods = self._last_pod(pods, snapshot)
        why = f"{stable:.1f} in flight in 60 s, {panic:.1f} in 6 s, target {self.scaler.target:.1f}"
        return PolicyDecision(size=Size(workers=snapshot.size.workers, replicas=pods), why=why)

    def _last_pod(self, pods: int, snapshot: FleetSnapshot) -> int:
        """Starts it for a request at zero, and keeps it for the grace period."""
        if pods > 0 or snapshot.held:
            self._inactive_since = None
            return max(1, pods)
        if self._inactive_since is None:
            self._inactive_since = snapshot.now
        stops = snapshot.now - self._inactive_since >= GRACE
        return 0 if stops or snapshot.size.replicas == 0 else 1
