"""The fleet: pods with workers, the connections that lead to them, and what it costs.

Connections go to a random pod and stay there until they are replaced. Within a pod they are
spread evenly over its workers, as aiapi-serve does it. So a new pod fills slowly, and a new
worker at once.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate.counters import Counters
from aiapi_operator.simulate.faults import SLOW_POD_START, FaultKind
from aiapi_operator.simulate.in_flight import InFlightRequests, ServedRequests, ServeResult
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.requests import Requests, Workload
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.sizing.plan import POD_CPU
from aiapi_operator.sizing.state import Size

LOOPS_PER_POD = 64
"""Loops that a pod has room for: the most workers that an AIApi may ask for."""
IDLE = 0.002
"""Loop time that a worker spends on its heartbeat and housekeeping, as a part of its time."""
START_SPREAD = 0.2
BLOCKED_AFTER = 1.0
"""Seconds for which a callback may hold a loop before aiapi-serve calls the loop blocked."""
_MOST_BLOCKS = 1000
_FIRST_SLOTS = 32
_KEYS = 1 << 20
_MARGIN = 10.0
"""Seconds after the last request of a pod that left, before its slot is used again."""


@dataclass(slots=True, kw_only=True)
class SimulatedPod:
    """A pod that is starting or takes traffic."""

    name: str
    slot: int
    wanted: int
    """Workers that were ordered."""
    ready_at: float
    ready: bool = False
    grow_at: float | None = None
    """When the workers that were ordered serve."""


class FleetModel:
    """A fleet under load."""

    def __init__(self, load: Workload, size: Size, *, worker_cpu: float) -> None:
        service = load.service
        self._rng = np.random.default_rng([load.seed, 303])
        self._faults = load.faults
        self._journeys = InFlightRequests(load, _FIRST_SLOTS * LOOPS_PER_POD)
        self._lifetime = parse_duration(service.clients.lifetime)
        self._pod_start = parse_duration(service.pods.start)
        self._worker_start = parse_duration(service.pods.worker_start)
        self._worker_cpu = worker_cpu
        self._serving = np.zeros(_FIRST_SLOTS, dtype=np.int64)
        self._work = np.zeros(_FIRST_SLOTS)
        self._worker_seconds = np.zeros(_FIRST_SLOTS)
        self._empty: list[tuple[float, int]] = [(0.0, slot) for slot in range(_FIRST_SLOTS)]
        self._home = np.zeros(load.connections, dtype=np.int64)
        self._key = self._rng.integers(0, _KEYS, load.connections)
        self._blocks: deque[tuple[int, float, float]] = deque(maxlen=_MOST_BLOCKS)
        self._born = 0
        self._loop_seconds_of_gone = 0.0
        self._worker_seconds_of_gone = 0.0
        self.counters = Counters(_FIRST_SLOTS, returning=self._journeys.returning)
        self.pods: list[SimulatedPod] = []
        self.workers = size.workers
        self.pod_seconds = 0.0
        self.paid_worker_seconds = 0.0
        self.order(size, 0.0, instantly=True)

    @property
    def size(self) -> Size:
        """What was ordered last."""
        return Size(workers=self.workers, replicas=len(self.pods))

    @property
    def ready(self) -> list[SimulatedPod]:
        """Pods that take traffic."""
        return [pod for pod in self.pods if pod.ready]

    @property
    def ready_workers(self) -> int:
        """Workers that serve."""
        return int(sum(self._serving[pod.slot] for pod in self.pods if pod.ready))

    @property
    def core_seconds(self) -> float:
        """CPU requested x time so far, pod overhead included."""
        return POD_CPU * self.pod_seconds + self._worker_cpu * self.paid_worker_seconds

    def serving(self, pod: SimulatedPod) -> int:
        """Workers of a pod that serve."""
        return int(self._serving[pod.slot])

    def next_change(self) -> float:
        """When a pod or a worker that was ordered will be there, or infinity."""
        times = [pod.ready_at for pod in self.pods if not pod.ready]
        times += [pod.grow_at for pod in self.pods if pod.grow_at is not None]
        return min(times, default=float("inf"))

    def serve(self, requests: Requests, start: float, end: float) -> ServedRequests:
        """All requests from ``start`` until ``end``, with the fleet as it is."""
        self._account(end - start)
        self._reconnect(end - start)
        slot = self._home[requests.connection]
        lane = slot * LOOPS_PER_POD + self._key[requests.connection] % self._serving[slot]
        arrived = self._journeys.serve(requests, slot, lane, end=end)
        self._work += np.bincount(slot, arrived.cost, len(self._work))
        self._note_blocks(arrived, slot)
        self.counters.add(arrived.batch, end)
        return arrived.served

    def finish(self) -> ServedRequests | None:
        """The run is over: what becomes of those on their way."""
        return self._journeys.finish()

    def blocked(self, slot: int, now: float) -> int:
        """Loops of a pod that one callback has held for longer than the runtime bears."""
        return sum(which == slot and begin <= now < end for which, begin, end in self._blocks)

    def advance(self, now: float) -> None:
        """Let pods and workers serve whose time has come."""
        for pod in self.pods:
            if not pod.ready and pod.ready_at <= now:
                pod.ready = True
                self._serving[pod.slot] = pod.wanted
            elif pod.grow_at is not None and pod.grow_at <= now:
                pod.grow_at = None
                self._serving[pod.slot] = pod.wanted

    def order(self, size: Size, now: float, *, instantly: bool = False) -> None:
        """Ask for another size. New pods and workers take their time unless ``instantly``."""
        self.workers = size.workers
        for pod in self.pods:
            self._resize(pod, size.workers, now + (0.0 if instantly else self._worker_start))
        while len(self.pods) < size.replicas:
            self._add(now, 0.0 if instantly else self._start_time(now))
        if instantly:
            self.advance(now)
            self._spread_anew()
        if len(self.pods) > size.replicas:
            self._remove(len(self.pods) - size.replicas, now)

    def loop_seconds(self, now: float) -> Floats:
        """Loop time of each slot: all work it was given, less what still waits to be done."""
        waiting = (
            np.maximum(0.0, self._journeys.free_at - now).reshape(-1, LOOPS_PER_POD).sum(axis=1)
        )
        seconds: Floats = self._work - waiting + IDLE * self._worker_seconds
        return seconds

    def all_loop_seconds(self, now: float) -> float:
        """Loop time of all pods that ever were."""
        return self._loop_seconds_of_gone + float(self.loop_seconds(now).sum())

    def utilization(self, now: float) -> float:
        """Loop time over workers' time, of all pods that ever were."""
        workers = self._worker_seconds_of_gone + float(self._worker_seconds.sum())
        return self.all_loop_seconds(now) / workers if workers > 0 else 0.0

    def worker_seconds(self) -> Floats:
        """Time for which workers were there, of each slot."""
        return self._worker_seconds

    def _note_blocks(self, arrived: ServeResult, slot: Ints) -> None:
        for index in np.flatnonzero(arrived.cost > BLOCKED_AFTER).tolist():
            end = float(arrived.done[index])
            begin = end - float(arrived.cost[index]) + BLOCKED_AFTER
            self._blocks.append((int(slot[index]), begin, end))

    def _account(self, seconds: float) -> None:
        for pod in self.pods:
            self._pay(pod, seconds)
            if pod.ready:
                self._worker_seconds[pod.slot] += seconds * self._serving[pod.slot]

    def _pay(self, pod: SimulatedPod, seconds: float) -> None:
        self.pod_seconds += seconds
        self.paid_worker_seconds += seconds * pod.wanted

    def _reconnect(self, seconds: float) -> None:
        """Some connections end, and new ones come in their place."""
        share = 1 - np.exp(-seconds / self._lifetime)
        count = self._rng.binomial(len(self._home), share)
        self._connect(self._rng.integers(0, len(self._home), count))

    def _connect(self, which: Ints) -> None:
        slots = np.array([pod.slot for pod in self.pods if pod.ready], dtype=np.int64)
        self._home[which] = slots[self._rng.integers(0, len(slots), len(which))]
        self._key[which] = self._rng.integers(0, _KEYS, len(which))

    def _spread_anew(self) -> None:
        self._connect(np.arange(len(self._home)))

    def _start_time(self, now: float) -> float:
        slow = self._faults.active(FaultKind.SLOW_PODS, now)
        usual = SLOW_POD_START if slow else self._pod_start
        return float(usual * self._rng.uniform(1 - START_SPREAD, 1 + START_SPREAD))

    def _resize(self, pod: SimulatedPod, workers: int, grown_at: float) -> None:
        if pod.wanted == workers:
            return
        pod.wanted = workers
        if not pod.ready:
            return
        pod.grow_at = None
        if workers <= self._serving[pod.slot]:
            self._serving[pod.slot] = workers
        else:
            pod.grow_at = grown_at

    def _add(self, now: float, takes: float) -> None:
        slot = self._slot(now)
        name = f"pod-{self._born}"
        self.pods.append(
            SimulatedPod(name=name, slot=slot, wanted=self.workers, ready_at=now + takes)
        )
        self._born += 1

    def _slot(self, now: float) -> int:
        """A slot whose last pod has left; more of them if there is none."""
        for entry in self._empty:
            if entry[0] <= now:
                self._empty.remove(entry)
                slot = entry[1]
                self.counters.reset(slot)
                self._loop_seconds_of_gone += self._work[slot]
                self._loop_seconds_of_gone += IDLE * self._worker_seconds[slot]
                self._worker_seconds_of_gone += self._worker_seconds[slot]
                self._work[slot] = self._worker_seconds[slot] = 0.0
                self._journeys.free_at[slot * LOOPS_PER_POD : (slot + 1) * LOOPS_PER_POD] = 0.0
                return slot
        slots = len(self._serving)
        self._empty += [(0.0, slot) for slot in range(slots, 2 * slots)]
        self._serving = np.pad(self._serving, (0, slots))
        self._work = np.pad(self._work, (0, slots))
        self._worker_seconds = np.pad(self._worker_seconds, (0, slots))
        self._journeys.free_at = np.pad(self._journeys.free_at, (0, slots * LOOPS_PER_POD))
        self.counters.grow(2 * slots)
        return self._slot(now)

    def _last_leaves(self, slot: int, now: float) -> float:
        back = self._journeys.last_back(slot)
        free = float(
            self._journeys.free_at[slot * LOOPS_PER_POD : (slot + 1) * LOOPS_PER_POD].max()
        )
        return max(self.counters.last_leaves(slot, now), back, free)

    def _remove(self, count: int, now: float) -> None:
        """Pods that are not ready first, then the youngest, as a ReplicaSet does."""
        leaving = sorted(self.pods, key=lambda pod: (pod.ready, -pod.ready_at))[:count]
        self.pods = [pod for pod in self.pods if pod not in leaving]
        for pod in leaving:
            last = self._last_leaves(pod.slot, now) if pod.ready else now
            self._pay(pod, last - now)
            self._empty.append((last + _MARGIN, pod.slot))
        gone = np.isin(self._home, [pod.slot for pod in leaving])
        self._connect(np.flatnonzero(gone))
