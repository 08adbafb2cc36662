"""The Kubernetes HorizontalPodAutoscaler, autoscaling/v2.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ (algorithm
details, configurable scaling behavior) and pkg/controller/podautoscaler/replica_calculator.go
of kubernetes/kubernetes, where the pods that are not ready are taken in.

    desired = ceil(current x value / target),   unchanged while |value / target - 1| <= 0.1

A sync every 15 s. Pods that are not ready count as using nothing when more are wanted, and
are left out when fewer are. Down: the highest answer of the last 300 s. Up: at most the
larger of twice the pods and four more within 15 s. Both are the documented defaults.

In its favour: it sees the mean since its last sync at once; a real one sees it 15 to 60 s late.
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
"""Of the requested CPU: what the API server fills in for an HPA without metrics."""


def desired_replicas(value: float, target: float, *, current: int, ready: int) -> int:
    """Replicas by the mean ``value`` a ready pod, before behavior.

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


@dataclass(slots=True)
class HpaBehavior:
    """``spec.behavior`` at its defaults."""

    replicas: Bounds
    _answers: deque[tuple[float, int]] = field(default_factory=deque)
    _added: deque[tuple[float, int]] = field(default_factory=deque)

    def limit(self, desired: int, *, current: int, now: float) -> int:
        """What may be done of it."""
        while self._answers and self._answers[0][0] <= now - DOWN_WINDOW:
            self._answers.popleft()
        while self._added and self._added[0][0] <= now - UP_PERIOD:
            self._added.popleft()
        self._answers.append((now, desired))
        if desired < current:
            desired = min(current, max(answer for _, answer in self._answers))
        elif desired > current:
            began = current - sum(count for _, count in self._added)
            most = max(began * UP_FACTOR, began + UP_PODS)
            desired = max(current, min(desired, most))
        desired = min(self.replicas.max, max(self.replicas.min, desired))
        if desired > current:
            self._added.append((now, desired - current))
        return desired


class _Hpa(ABC):
    """What all metrics have in common."""

    instant = False

    def __init__(self, name: str, first: Size, replicas: Bounds, target: float) -> None:
        self.name = name
        self.first = first
        self.interval = SYNC
        self.target = target
        self.meter = RateWindow(SYNC)
        self.behavior = HpaBehavior(replicas)

    def decide(self, view: FleetSnapshot) -> PolicyDecision:
        """One sync. Without metrics nothing changes."""
        if view.silent:
            return PolicyDecision(size=view.size, why="no metrics")
        totals = view.totals()
        self.meter.add(totals)
        value = self.value(totals)
        if value is None or totals.ready == 0:
            return PolicyDecision(size=view.size, why="no metrics")
        current = view.size.replicas
        desired = desired_replicas(value, self.target, current=current, ready=totals.ready)
        replicas = self.behavior.limit(desired, current=current, now=view.now)
        why = f"{value:.3g} a pod, target {self.target:.3g}: {desired} pods"
        return PolicyDecision(size=Size(workers=view.size.workers, replicas=replicas), why=why)

    @abstractmethod
    def value(self, totals: FleetTotals) -> float | None:
        """The metric, a ready pod."""


class HpaConcurrencyPolicy(_Hpa):
    """On requests in flight, as a Pods metric of type AverageValue."""

    def value(self, totals: FleetTotals) -> float | None:
        """Mean requests in flight, a ready pod."""
        concurrency = self.meter.concurrency(SYNC)
        return None if concurrency is None else concurrency / max(1, totals.ready)


class HpaCpuPolicy(_Hpa):
    """On CPU, as a part of what pods request."""

    def __init__(
        self, name: str, first: Size, replicas: Bounds, *, target: float, pod_cpu: float
    ) -> None:
        super().__init__(name, first, replicas, target)
        self._pod_cpu = pod_cpu

    def value(self, totals: FleetTotals) -> float | None:
        """CPU used by a ready pod, as a part of its request."""
        cores = self.meter.cpu(SYNC)
        return None if cores is None else cores / max(1, totals.ready) / self._pod_cpu
