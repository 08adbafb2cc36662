"""Ray Serve's default autoscaling policy.

Source: https://docs.ray.io/en/latest/serve/advanced-guides/advanced-autoscaling.html and
``replica_queue_length_autoscaling_policy`` in ray/serve/autoscaling_policy.py.

    desired = ceil(replicas x (ongoing requests / replicas) / target_ongoing_requests)

Ongoing requests are the mean of the last 30 s (look_back_period_s), reported every 10 s
(metrics_interval_s). More replicas come after 30 s in which each look wanted more
(upscale_delay_s), fewer after 600 s in which each wanted fewer (downscale_delay_s). Both
smoothing factors are 1. A look that wants the other direction, or no change, starts the
count anew. The default target of 2 ongoing requests is meant to be set by the user.
"""

from dataclasses import dataclass
from math import ceil

from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.policies.window import RateWindow
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.state import Size

INTERVAL = 10.0
LOOK_BACK = 30.0
UP_DELAY = 30.0
DOWN_DELAY = 600.0


@dataclass(slots=True)
class ScalingDelay:
    """Holds a change back until it was wanted for long enough."""

    direction: int = 0
    since: float = 0.0

    def hold_back(self, desired: int, *, current: int, now: float) -> int:
        """``desired`` when its time has come, else ``current``.

        4 replicas, 6 wanted at 0, 10, 20 and 30 s: 6 at 30 s. 5 wanted at 20 s counts as well,
        4 wanted at 20 s starts anew.
        """
        direction = (desired > current) - (desired < current)
        if direction != self.direction:
            self.direction, self.since = direction, now
        delay = UP_DELAY if direction > 0 else DOWN_DELAY
        if direction == 0 or now - self.since < delay:
            return current
        self.direction = 0
        return desired


class RayPolicy:
    """Ray Serve's law, on pods as replicas."""

    name = "ray"
    interval = INTERVAL
    instant = False

    def __init__(self, first: Size, replicas: Bounds, target: float) -> None:
        self.first = first
        self._replicas = replicas
        self._target = target
        self._meter = RateWindow(LOOK_BACK)
        self._delays = ScalingDelay()

    def decide(self, view: FleetSnapshot) -> PolicyDecision:
        """One look. Without metrics nothing changes."""
        if view.silent:
            return PolicyDecision(size=view.size, why="no metrics")
        self._meter.add(view.totals())
        ongoing = self._meter.concurrency(LOOK_BACK)
        if ongoing is None:
            return PolicyDecision(size=view.size, why="no metrics")
        desired = ceil(ongoing / self._target - 1e-9)
        desired = min(self._replicas.max, max(self._replicas.min, desired))
        replicas = self._delays.hold_back(desired, current=view.size.replicas, now=view.now)
        why = f"{ongoing:.1f} ongoing, target {self._target:.1f}: {desired} replicas"
        return PolicyDecision(size=Size(workers=view.size.workers, replicas=replicas), why=why)
