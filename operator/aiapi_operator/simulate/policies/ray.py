"""Ray Serve's default autoscaling policy.

Source: https://docs.ray.io/en/latest/serve/advanced-guides/advanced-autoscaling.html and
``replica_queue_length_autoscaling_policy`` in ray/serve/autoscaling_policy.py.

    desired = ceil(replicas x (ongoing requests / replicas) / target_ongoing_requests)

Ongoing requests are the mean of the last 30 s (look_back_period_s), reported every 10 s
(metrics_interval_s). Replicas are added after 30 s of consistent decisions to scale up
(upscale_delay_s), and removed after 600 s of consistent decisions to scale down
(downscale_delay_s). Any other decision resets the delay. Both smoothing factors are 1. Users are
expected to change the default target of 2 ongoing requests.
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
    """Delays a change until all decisions of a period agree on the direction."""

    direction: int = 0
    since: float = 0.0

    def limit(self, desired: int, *, current: int, now: float) -> int:
        """``desired`` after the delay, else ``current``.

        4 replicas, 6 desired at 0, 10, 20 and 30 s: 6 at 30 s. 5 desired at 20 s keeps the delay
        running, 4 desired at 20 s resets it.
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
    """Ray Serve's algorithm, with pods as replicas."""

    name = "ray"
    interval = INTERVAL
    instant = False

    def __init__(self, initial_size: Size, replicas: Bounds, target: float) -> None:
        self.initial_size = initial_size
        self._replicas = replicas
        self._target = target
        self._window = RateWindow(LOOK_BACK)
        self._delay = ScalingDelay()

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """One decision. Without metrics the size is kept."""
        if snapshot.metrics_gone:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        self._window.add(snapshot.totals())
        ongoing = self._window.concurrency(LOOK_BACK)
        if ongoing is None:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        desired = ceil(ongoing / self._target - 1e-9)
        desired = min(self._replicas.max, max(self._replicas.min, desired))
        replicas = self._delay.limit(desired, current=snapshot.size.replicas, now=snapshot.now)
        why = f"{ongoing:.1f} ongoing, target {self._target:.1f}: {desired} replicas"
        return PolicyDecision(size=Size(workers=snapshot.size.workers, replicas=replicas), why=why)
