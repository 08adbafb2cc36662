"""The operator with replicas.min 0: its rule for stopping (sizing/zero.py) around ``decide``.

Serving, until no request came for ``toZeroAfter``, longer if it was woken often. Leaving: the pods
stay for the grace period in which the nodes learn of the activators; a request ends it. Asleep: no
pods. The first request starts as many as this hour of the day usually needs, or as the held
requests need. While no pod is ready, pods are only added.
"""

from math import ceil, inf

from aiapi_operator.simulate.policies.aiapi import AIApiPolicy
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing import plan, zero
from aiapi_operator.sizing.asleep import asleep
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.state import Size
from aiapi_operator.sizing.zero import HOUR, HOURS, WakeUps

GRACE = 30.0
"""Seconds from the decision to stop until the pods stop."""
NEEDED_IN = 180.0
"""Seconds after a wake-up whose need is learned."""


class SleepingPolicy:
    """Runs the operator's policy while there are pods."""

    instant = False

    def __init__(self, awake: AIApiPolicy, after: float) -> None:
        self.name = awake.name
        self.initial_size = awake.initial_size
        self.wakes = WakeUps()
        self._awake = awake
        self._after = after
        self._leaving_since: float | None = None
        self._reason = ""
        self._woken_at: float | None = None
        self._needed = 0
        self._waking = False

    @property
    def interval(self) -> float:
        """``scaling.interval`` of the spec."""
        return self._awake.interval

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """The size now."""
        if not snapshot.ready:
            return self._without_pods(snapshot)
        if self._waking:
            self._waking, self._woken_at, self._needed = False, snapshot.now, 0
            self.wakes = zero.woken(self.wakes, snapshot.now)
        decision = self._awake.decide(snapshot)
        self._learn(snapshot.now)
        return self._leave(snapshot) or decision

    def _without_pods(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """Asleep or waking."""
        size, spec = snapshot.size, self._awake.spec
        if not size.replicas:
            self._awake.state = asleep(self._awake.state, snapshot.now)
        if not snapshot.held:
            return PolicyDecision(size=size, why="no request")
        usual = 0
        if not size.replicas:
            self._waking = True
            usual = zero.pods(self.wakes, self._hour(snapshot.now), spec.replicas.max)
        for_held = ceil(snapshot.held / self._pod_concurrency())
        pods = min(spec.replicas.max, max(size.replicas, usual, for_held))
        return PolicyDecision(
            size=Size(workers=size.workers, replicas=pods), why=f"{snapshot.held} requests wait"
        )

    def _leave(self, snapshot: FleetSnapshot) -> PolicyDecision | None:
        now, idle = snapshot.now, snapshot.idle
        if self._leaving_since is not None:
            left = now - self._leaving_since
            if idle is None or idle < left:
                self._leaving_since = None
            elif left >= GRACE:
                self._leaving_since = None
                size = Size(workers=snapshot.size.workers, replicas=0)
                return PolicyDecision(size=size, why=self._reason)
            return None
        sleep = zero.sleep(self._after, idle, self.wakes.recent, now)
        if sleep.now:
            self._leaving_since, self._reason = now, sleep.reason
        return None

    def _learn(self, now: float) -> None:
        """The pods that the load needed after a wake-up, not those that were kept."""
        if self._woken_at is None:
            return
        last = self._awake.state.last
        if last is not None and last.need is not None:
            need = RequiredWorkers(last.need, 0.0)
            self._needed = max(self._needed, plan.cheapest(self._awake.spec, need).replicas)
        if now - self._woken_at >= NEEDED_IN:
            self.wakes = zero.learn(self.wakes, self._hour(self._woken_at), max(1, self._needed))
            self._woken_at = None

    def _hour(self, now: float) -> int:
        return int((self._awake.start_time + now) // HOUR) % HOURS

    def _pod_concurrency(self) -> float:
        """Held requests that a pod with all its workers answers within the threshold."""
        known: ServiceDemand | None = self._awake.state.memory.get(ServiceDemand)
        if known is None or not known.confident:
            return inf
        spec = self._awake.spec
        return max(1.0, spec.workers.max * spec.objective.threshold / known.seconds)
