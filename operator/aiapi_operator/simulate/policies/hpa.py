"""The Kubernetes HorizontalPodAutoscaler, autoscaling/v2.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ (algorithm
details, configurable scaling behavior) and pkg/controller/podautoscaler/replica_calculator.go
of kubernetes/kubernetes, for pods that are not ready.

    desired = ceil(current x value / target),   unchanged while |value / target - 1| <= 0.1

A sync every 15 s. Pods that are not ready count as idle when scaling up, and are left out when
scaling down. Down: the highest recommendation of the last 300 s. Up: at most the larger of twice
the pods and four more pods within 15 s. Both are the documented defaults.

A minimum of 0 needs Kubernetes 1.37 and an object or external metric, because pods that do not run
have no metric (https://kubernetes.io/blog/2026/09/02/kubernetes-v1-37-hpa-scale-to-zero-beta/). A
Service does not buffer requests while no pod is ready, as the same page says: they fail until a
sync has seen the metric and a pod has started. Here the metric counts refused requests as if they
had taken as long as others. ``hpa-cpu`` cannot scale to zero.

In its favor, it has the mean since its last sync immediately; a real HPA has it 15 to 60 s late.
"""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from math import ceil

from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.policies.window import RateWindow
from aiapi_operator.simulate.snapshot import FleetSnapshot, FleetTotals
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.state import Size

SYNC = 15.0
TOLERANCE = 0.1
DOWN_WINDOW = 300.0
UP_PERIOD = 15.0
UP_PODS = 4
UP_FACTOR = 2
CPU_TARGET = 0.8
"""Fraction of the requested CPU: the API server's default for an HPA without metrics."""


def desired_replicas(value: float, target: float, *, current: int, ready: int) -> int:
    """Replicas by the mean ``value`` per ready pod, before behavior.

    3 pods at 90 % with a target of 60 %: ceil(3 x 1.5) = 5. At 64 %: 1.07, within 0.1, so 3.
    3 ready at 90 % and 2 starting: the 5 use 270 / 5 = 54 %, a ratio of 0.9: no change.
    """
    ratio = value / target
    if ratio > 1 and ready < current:
        whole = ratio * ready / current
        if whole < 1 or whole - 1 <= TOLERANCE:
            return current
        return max(current, ceil(whole * current - 1e-9))
    if abs(ratio - 1) <= TOLERANCE:
        return current
    return ceil(ratio * ready - 1e-9)


def replicas_for_sum(total: float, target: float, *, current: int) -> int:
    """Replicas by a sum over the fleet (an external metric of type AverageValue).

    150 in flight with a target of 20: ceil(7.5) = 8. With 7 running pods the ratio is 1.07,
    within the tolerance, so 7.
    """
    if current and abs(total / (target * current) - 1) <= TOLERANCE:
        return current
    return ceil(total / target - 1e-9)


@dataclass(slots=True)
class HpaBehavior:
    """The defaults of ``spec.behavior``."""

    replicas: Bounds
    _recommended: deque[tuple[float, int]] = field(default_factory=deque)
    _added: deque[tuple[float, int]] = field(default_factory=deque)

    def limit(self, desired: int, *, current: int, now: float) -> int:
        """Limit the desired replicas by stabilization, policies and bounds."""
        while self._recommended and self._recommended[0][0] <= now - DOWN_WINDOW:
            self._recommended.popleft()
        while self._added and self._added[0][0] <= now - UP_PERIOD:
            self._added.popleft()
        self._recommended.append((now, desired))
        if desired < current:
            desired = min(current, max(replicas for _, replicas in self._recommended))
        elif desired > current:
            began = current - sum(count for _, count in self._added)
            most = max(began * UP_FACTOR, began + UP_PODS)
            desired = max(current, min(desired, most))
        desired = min(self.replicas.max, max(self.replicas.min, desired))
        if desired > current:
            self._added.append((now, desired - current))
        return desired


class _Hpa(ABC):
    """The parts common to all metrics."""

    instant = False

    def __init__(self, name: str, initial_size: Size, replicas: Bounds, target: float) -> None:
        self.name = name
        self.initial_size = initial_size
        self.interval = SYNC
        self.target = target
        self.window = RateWindow(SYNC)
        self.behavior = HpaBehavior(replicas)

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """One sync. Without metrics the size is kept."""
        if snapshot.metrics_gone:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        totals = snapshot.totals()
        self.window.add(totals)
        value = self.value(totals)
        if value is None or totals.ready == 0:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        current = snapshot.size.replicas
        desired = desired_replicas(value, self.target, current=current, ready=totals.ready)
        replicas = self.behavior.limit(desired, current=current, now=snapshot.now)
        why = f"{value:.3g} per pod, target {self.target:.3g}: {desired} pods"
        return PolicyDecision(size=Size(workers=snapshot.size.workers, replicas=replicas), why=why)

    @abstractmethod
    def value(self, totals: FleetTotals) -> float | None:
        """The metric per ready pod."""


class HpaConcurrencyPolicy(_Hpa):
    """HPA on requests in flight, as a Pods metric of type AverageValue."""

    def value(self, totals: FleetTotals) -> float | None:
        """Mean requests in flight per ready pod."""
        concurrency = self.window.concurrency(SYNC)
        return None if concurrency is None else concurrency / max(1, totals.ready)


class HpaExternalPolicy:
    """HPA on requests in flight as an external metric of type AverageValue, with a minimum of 0."""

    interval = SYNC
    instant = False

    def __init__(self, name: str, initial_size: Size, replicas: Bounds, target: float) -> None:
        self.name = name
        self.initial_size = initial_size
        self._target = target
        self._window = RateWindow(SYNC)
        self._behavior = HpaBehavior(replicas)

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """One sync. Without metrics the size is kept."""
        if snapshot.metrics_gone:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        self._window.add(snapshot.totals())
        value = self._window.concurrency(SYNC)
        if value is None:
            return PolicyDecision(size=snapshot.size, why="no metrics")
        current = snapshot.size.replicas
        desired = replicas_for_sum(value, self._target, current=current)
        replicas = self._behavior.limit(desired, current=current, now=snapshot.now)
        why = f"{value:.1f} in flight, target {self._target:.1f} per pod: {desired} pods"
        return PolicyDecision(size=Size(workers=snapshot.size.workers, replicas=replicas), why=why)


class HpaCpuPolicy(_Hpa):
    """HPA on CPU utilization."""

    def __init__(
        self, name: str, initial_size: Size, replicas: Bounds, *, target: float, pod_cpu: float
    ) -> None:
        super().__init__(name, initial_size, replicas, target)
        self._pod_cpu = pod_cpu

    def value(self, totals: FleetTotals) -> float | None:
        """CPU used per ready pod, as a fraction of its request."""
        cores = self.window.cpu(SYNC)
        return None if cores is None else cores / max(1, totals.ready) / self._pod_cpu
