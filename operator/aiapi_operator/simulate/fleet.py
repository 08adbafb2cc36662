"""The fleet: pods and their workers, client connections, and cost. It may have no pods.

A connection goes to a random pod and stays there until it is replaced. Within a pod connections
are spread evenly over the workers, as aiapi-serve does. A new pod therefore fills slowly, and a
new worker immediately.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate.counters import Counters
from aiapi_operator.simulate.faults import SLOW_POD_START, FaultKind
from aiapi_operator.simulate.hold import HANDOVER
from aiapi_operator.simulate.in_flight import InFlightRequests, ServedRequests, ServeResult
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.requests import Requests, Workload
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.sizing.plan import POD_CPU
from aiapi_operator.sizing.state import Size

LOOPS_PER_POD = 64
"""The maximum workers per pod that an AIApi may set."""
IDLE = 0.002
"""Loop utilization of an idle worker: heartbeat and housekeeping."""
START_SPREAD = 0.2
BLOCKED_AFTER = 1.0
"""Seconds for which a callback may hold a loop before aiapi-serve reports the loop as blocked."""
_MAX_BLOCKS = 1000
_INITIAL_SLOTS = 32
_KEYS = 1 << 20
_REUSE_AFTER = 10.0
"""Seconds after the last request of a removed pod before its slot is reused."""


@dataclass(slots=True, kw_only=True)
class SimulatedPod:
    """A pod that is starting or ready."""

    name: str
    slot: int
    desired_workers: int
    ready_at: float
    ready: bool = False
    workers_ready_at: float | None = None
    """When added workers start to serve."""


class FleetModel:
    """A fleet under load."""

    def __init__(self, load: Workload, size: Size, *, worker_cpu: float) -> None:
        service = load.service
        self._rng = np.random.default_rng([load.seed, 303])
        self._faults = load.faults
        self._in_flight = InFlightRequests(load, slots=_INITIAL_SLOTS, loops_per_slot=LOOPS_PER_POD)
        self._lifetime = parse_duration(service.clients.lifetime)
        self._pod_start = parse_duration(service.pods.start)
        self._worker_start = parse_duration(service.pods.worker_start)
        self._worker_cpu = worker_cpu
        self._serving = np.zeros(_INITIAL_SLOTS, dtype=np.int64)
        self._loop_work = np.zeros(_INITIAL_SLOTS)
        self._worker_seconds = np.zeros(_INITIAL_SLOTS)
        self._free_slots: list[tuple[float, int]] = [(0.0, slot) for slot in range(_INITIAL_SLOTS)]
        self._slot_of = np.zeros(load.connections, dtype=np.int64)
        self._worker_key = self._rng.integers(0, _KEYS, load.connections)
        self._blocks: deque[tuple[int, float, float]] = deque(maxlen=_MAX_BLOCKS)
        self._created = 0
        self._waking = False
        self._last_request = 0.0
        self._removed_loop_seconds = 0.0
        self._removed_worker_seconds = 0.0
        self.counters = Counters(_INITIAL_SLOTS, pending=self._in_flight.pending)
        self.pods: list[SimulatedPod] = []
        self.workers = size.workers
        self.pod_seconds = 0.0
        self.billed_worker_seconds = 0.0
        self.asleep_seconds = 0.0
        self.backlog_until = 0.0
        """When the loops are done with the requests that had waited for a pod."""
        self.scale_to(size, 0.0, instantly=True)

    @property
    def size(self) -> Size:
        """The desired size."""
        return Size(workers=self.workers, replicas=len(self.pods))

    @property
    def ready(self) -> list[SimulatedPod]:
        """Pods that receive traffic."""
        return [pod for pod in self.pods if pod.ready]

    @property
    def ready_workers(self) -> int:
        """Workers that serve, in all pods."""
        return int(sum(self._serving[pod.slot] for pod in self.pods if pod.ready))

    @property
    def core_seconds(self) -> float:
        """Requested CPU x time so far, including pod overhead."""
        return POD_CPU * self.pod_seconds + self._worker_cpu * self.billed_worker_seconds

    def serving(self, pod: SimulatedPod) -> int:
        """Workers of a pod that serve."""
        return int(self._serving[pod.slot])

    def next_change(self) -> float:
        """When the next pending pod or worker becomes ready, or infinity."""
        times = [pod.ready_at for pod in self.pods if not pod.ready]
        times += [pod.workers_ready_at for pod in self.pods if pod.workers_ready_at is not None]
        return min(times, default=float("inf"))

    def serve(self, requests: Requests, start: float, end: float) -> ServedRequests:
        """Serve all requests from ``start`` until ``end`` with the current fleet."""
        self._account(end - start)
        self._reconnect(end - start)
        slot = self._slot_of[requests.connection]
        loop_id = slot * LOOPS_PER_POD + self._worker_key[requests.connection] % self._serving[slot]
        result = self._in_flight.serve(requests, slot, loop_id, end=end)
        waited = requests.at < self._in_flight.since[slot]
        self.backlog_until = float(result.done[waited].max(initial=self.backlog_until))
        self._loop_work += np.bincount(slot, result.cost, len(self._loop_work))
        self._record_blocks(result, slot)
        self.counters.add(result.batch, end, result.first_bytes)
        self._last_request = float(result.batch.ended_at.max(initial=self._last_request))
        return result.served

    def finish(self) -> ServedRequests | None:
        """The run is over: the outcome of the requests in flight."""
        return self._in_flight.finish()

    def idle(self, now: float) -> float:
        """Seconds since the last request ended; 0 while one is in flight."""
        return 0.0 if self._in_flight.pending() else max(0.0, now - self._last_request)

    def blocked(self, slot: int, now: float) -> int:
        """Loops of a pod that are blocked by a callback for longer than ``BLOCKED_AFTER``."""
        return sum(which == slot and begin <= now < end for which, begin, end in self._blocks)

    def advance(self, now: float) -> None:
        """Mark pods and workers ready whose start time has passed."""
        for pod in self.pods:
            if not pod.ready and pod.ready_at <= now:
                self._begin(pod)
            elif pod.workers_ready_at is not None and pod.workers_ready_at <= now:
                pod.workers_ready_at = None
                self._serving[pod.slot] = pod.desired_workers

    def _begin(self, pod: SimulatedPod) -> None:
        pod.ready = True
        self._serving[pod.slot] = pod.desired_workers
        self._in_flight.since[pod.slot] = pod.ready_at
        loops = slice(pod.slot * LOOPS_PER_POD, (pod.slot + 1) * LOOPS_PER_POD)
        self._in_flight.free_at[loops] = pod.ready_at
        if self._waking:
            # An activator balances requests, and has its clients reconnect.
            self._reconnect_all()
            self._waking = not all(each.ready for each in self.pods)

    def scale_to(self, size: Size, now: float, *, instantly: bool = False) -> None:
        """Set the desired size. New pods and workers have a start time unless ``instantly``."""
        self.workers = size.workers
        for pod in self.pods:
            self._resize(pod, size.workers, now + (0.0 if instantly else self._worker_start))
        while len(self.pods) < size.replicas:
            self._add(now, 0.0 if instantly else self._start_time(now))
        self._waking |= not (instantly or self.ready)
        if instantly:
            self.advance(now)
            self._reconnect_all()
        if len(self.pods) > size.replicas:
            self._remove(len(self.pods) - size.replicas, now)

    def loop_seconds(self, now: float) -> Floats:
        """Loop time of each slot: the work assigned to it, less the work still queued."""
        waiting = (
            np.maximum(0.0, self._in_flight.free_at - now).reshape(-1, LOOPS_PER_POD).sum(axis=1)
        )
        seconds: Floats = self._loop_work - waiting + IDLE * self._worker_seconds
        return seconds

    def all_loop_seconds(self, now: float) -> float:
        """Loop time of all pods, removed ones included."""
        return self._removed_loop_seconds + float(self.loop_seconds(now).sum())

    def utilization(self, now: float) -> float:
        """Loop time divided by worker time, of all pods, removed ones included."""
        workers = self._removed_worker_seconds + float(self._worker_seconds.sum())
        return self.all_loop_seconds(now) / workers if workers > 0 else 0.0

    def worker_seconds(self) -> Floats:
        """Worker time of each slot."""
        return self._worker_seconds

    def _record_blocks(self, result: ServeResult, slot: Ints) -> None:
        for index in np.flatnonzero(result.cost > BLOCKED_AFTER).tolist():
            end = float(result.done[index])
            begin = end - float(result.cost[index]) + BLOCKED_AFTER
            self._blocks.append((int(slot[index]), begin, end))

    def _account(self, seconds: float) -> None:
        self.asleep_seconds += 0.0 if self.pods else seconds
        for pod in self.pods:
            self._bill(pod, seconds)
            if pod.ready:
                self._worker_seconds[pod.slot] += seconds * self._serving[pod.slot]

    def _bill(self, pod: SimulatedPod, seconds: float) -> None:
        self.pod_seconds += seconds
        self.billed_worker_seconds += seconds * pod.desired_workers

    def _reconnect(self, seconds: float) -> None:
        """Replace a random part of the connections."""
        share = 1 - np.exp(-seconds / self._lifetime)
        count = self._rng.binomial(len(self._slot_of), share)
        self._connect(self._rng.integers(0, len(self._slot_of), count))

    def _connect(self, which: Ints) -> None:
        slots = np.array([pod.slot for pod in self.pods if pod.ready], dtype=np.int64)
        if not len(slots):
            return
        self._slot_of[which] = slots[self._rng.integers(0, len(slots), len(which))]
        self._worker_key[which] = self._rng.integers(0, _KEYS, len(which))

    def _reconnect_all(self) -> None:
        self._connect(np.arange(len(self._slot_of)))

    def _start_time(self, now: float) -> float:
        slow = self._faults.active(FaultKind.SLOW_PODS, now)
        usual = SLOW_POD_START if slow else self._pod_start
        takes = float(usual * self._rng.uniform(1 - START_SPREAD, 1 + START_SPREAD))
        return takes if self.ready else takes + HANDOVER

    def _resize(self, pod: SimulatedPod, workers: int, ready_at: float) -> None:
        if pod.desired_workers == workers:
            return
        pod.desired_workers = workers
        if not pod.ready:
            return
        pod.workers_ready_at = None
        if workers <= self._serving[pod.slot]:
            self._serving[pod.slot] = workers
        else:
            pod.workers_ready_at = ready_at

    def _add(self, now: float, takes: float) -> None:
        slot = self._slot(now)
        name = f"pod-{self._created}"
        self.pods.append(
            SimulatedPod(name=name, slot=slot, desired_workers=self.workers, ready_at=now + takes)
        )
        self._created += 1

    def _slot(self, now: float) -> int:
        """A free slot; doubles the slots if there is none."""
        for entry in self._free_slots:
            if entry[0] <= now:
                self._free_slots.remove(entry)
                slot = entry[1]
                self.counters.reset(slot)
                self._removed_loop_seconds += self._loop_work[slot]
                self._removed_loop_seconds += IDLE * self._worker_seconds[slot]
                self._removed_worker_seconds += self._worker_seconds[slot]
                self._loop_work[slot] = self._worker_seconds[slot] = 0.0
                self._in_flight.free_at[slot * LOOPS_PER_POD : (slot + 1) * LOOPS_PER_POD] = 0.0
                return slot
        slots = len(self._serving)
        self._free_slots += [(0.0, slot) for slot in range(slots, 2 * slots)]
        self._serving = np.pad(self._serving, (0, slots))
        self._loop_work = np.pad(self._loop_work, (0, slots))
        self._worker_seconds = np.pad(self._worker_seconds, (0, slots))
        self._in_flight.free_at = np.pad(self._in_flight.free_at, (0, slots * LOOPS_PER_POD))
        self._in_flight.since = np.pad(self._in_flight.since, (0, slots))
        self.counters.grow(2 * slots)
        return self._slot(now)

    def _last_end(self, slot: int, now: float) -> float:
        answered = self._in_flight.last_upstream_answer(slot)
        free = float(
            self._in_flight.free_at[slot * LOOPS_PER_POD : (slot + 1) * LOOPS_PER_POD].max()
        )
        return max(self.counters.last_end(slot, now), answered, free)

    def _remove(self, count: int, now: float) -> None:
        """Remove pods that are not ready first, then the newest, as a ReplicaSet does."""
        leaving = sorted(self.pods, key=lambda pod: (pod.ready, -pod.ready_at))[:count]
        self.pods = [pod for pod in self.pods if pod not in leaving]
        for pod in leaving:
            last = self._last_end(pod.slot, now) if pod.ready else now
            self._bill(pod, last - now)
            self._free_slots.append((last + _REUSE_AFTER, pod.slot))
        gone = np.isin(self._slot_of, [pod.slot for pod in leaving])
        self._connect(np.flatnonzero(gone))
